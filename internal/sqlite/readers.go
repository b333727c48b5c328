package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// ErrNoConnection is what a reader gets where all connections stayed in use for as long as it may wait.
var ErrNoConnection = errors.New("all connections are in use")

// Readers are the connections that read, and cannot write. They are safe for concurrent use.
type Readers struct {
	connector *connector
	pool      *sql.DB
	wait      Wait
	// A few connections for point reads, kept out of the pool, whose bookkeeping costs as much as a point read's own work.
	kept  chan *sql.Conn // those that are open and not in use
	spare chan struct{}  // one for each that may still be opened
}

// maxReaders bounds the connections of snapshots and of others' statements; each costs some file descriptors.
const maxReaders = 256

// OpenReaders opens none yet: each is opened when it is needed first. They wait for locks, and for each other where all
// are in use, as w says.
func OpenReaders(s Settings, w Wait) *Readers {
	params := s.params()
	params.Set("mode", "ro")
	connector := s.connector(params)
	pool := sql.OpenDB(connector)
	kept := max(4, 2*runtime.GOMAXPROCS(0))
	pool.SetMaxOpenConns(kept + maxReaders)
	pool.SetMaxIdleConns(kept)
	r := &Readers{
		connector: connector, pool: pool, wait: w, kept: make(chan *sql.Conn, kept), spare: make(chan struct{}, kept),
	}
	for range kept {
		r.spare <- struct{}{}
	}
	return r
}

// Pool is the pool itself, for snapshots and for statements of others.
func (r *Readers) Pool() *sql.DB { return r.pool }

// Do runs f on a connection outside of a transaction, again where a lock was in the way. f must leave nothing open.
func (r *Readers) Do(ctx context.Context, f func(*sql.Conn) error) error {
	return r.wait.Retry(ctx, func() error {
		conn, err := r.take(ctx)
		if err != nil {
			return err
		}
		err = f(conn)
		if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) { // database/sql gave it up
			_ = conn.Close()
			r.spare <- struct{}{}
		} else {
			r.kept <- conn
		}
		return err
	})
}

// Close closes the connections. None may be in use.
func (r *Readers) Close() error {
	close(r.kept)
	for conn := range r.kept {
		_ = conn.Close()
	}
	return r.pool.Close()
}

func (r *Readers) take(ctx context.Context) (*sql.Conn, error) {
	select {
	case conn := <-r.kept:
		return conn, nil
	default:
	}
	select {
	case <-r.spare:
		return r.open(ctx)
	default:
	}
	timeout := time.NewTimer(r.wait.Limit)
	defer timeout.Stop()
	select {
	case conn := <-r.kept:
		return conn, nil
	case <-r.spare:
		return r.open(ctx)
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timeout.C:
		return nil, fmt.Errorf("%w: waited %s", ErrNoConnection, r.wait.Limit)
	}
}

// open uses up what was taken from spare.
func (r *Readers) open(ctx context.Context) (*sql.Conn, error) {
	conn, err := lend(ctx, r.pool, r.wait)
	if err != nil {
		r.spare <- struct{}{}
	}
	return conn, err
}

// lend takes a connection out of a pool. It waits for one no longer than for a lock.
func lend(ctx context.Context, pool *sql.DB, w Wait) (*sql.Conn, error) {
	const opening = 100 * time.Millisecond // it takes a moment, even where nobody is to be waited for
	limited, cancel := context.WithTimeout(ctx, max(w.Limit, opening))
	defer cancel()
	conn, err := pool.Conn(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("%w: waited %s", ErrNoConnection, w.Limit)
	}
	return conn, err
}
