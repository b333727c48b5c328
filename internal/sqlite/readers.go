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
	pool *sql.DB
	wait Wait
	idle chan *sql.Conn // kept out of the pool, whose bookkeeping costs as much as a point read's own work
}

// OpenReaders opens none yet: each is opened when it is needed first. They wait for locks, and for each other where all
// are in use, as w says.
func OpenReaders(s Settings, w Wait) *Readers {
	params := s.params()
	params.Set("mode", "ro")
	pool := sql.OpenDB(s.connector(params))
	// Enough that readers in long snapshots leave some for the others; beyond that, waiting is cheaper than opening.
	idle, most := runtime.GOMAXPROCS(0), max(16, 4*runtime.GOMAXPROCS(0))
	pool.SetMaxOpenConns(idle + most)
	pool.SetMaxIdleConns(idle + most)
	return &Readers{pool: pool, wait: w, idle: make(chan *sql.Conn, idle)}
}

// Pool is the pool itself, for statements of others.
func (r *Readers) Pool() *sql.DB { return r.pool }

// Do runs f on a connection outside of a transaction, again where a lock was in the way. f must leave nothing open.
func (r *Readers) Do(ctx context.Context, f func(*sql.Conn) error) error {
	return r.wait.Retry(ctx, func() error {
		conn, err := r.take(ctx)
		if err != nil {
			return err
		}
		err = f(conn)
		r.put(conn, err)
		return err
	})
}

// Close closes the connections. None may be in use.
func (r *Readers) Close() error {
	for {
		select {
		case conn := <-r.idle:
			_ = conn.Close()
		default:
			return r.pool.Close()
		}
	}
}

func (r *Readers) take(ctx context.Context) (*sql.Conn, error) {
	select {
	case conn := <-r.idle:
		return conn, nil
	default:
		return lend(ctx, r.pool, r.wait)
	}
}

// put takes a connection back; err is what came of its use. One that database/sql gave up is not kept.
func (r *Readers) put(conn *sql.Conn, err error) {
	if errors.Is(err, sql.ErrConnDone) || errors.Is(err, driver.ErrBadConn) {
		_ = conn.Close()
		return
	}
	select {
	case r.idle <- conn:
	default:
		_ = conn.Close()
	}
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
