package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/oxide-k/stateregistry/db"
)

// ErrNoConnection is what a reader gets where all connections stayed in use for as long as it may wait.
var ErrNoConnection = errors.New("all connections are in use")

// Readers are the connections that read, and cannot write. They are safe for concurrent use.
type Readers struct {
	connector *connector
	pool      *sql.DB // of snapshots and of others' statements
	wait      Wait
	// A few connections for Do, taken out of a pool of their own, whose bookkeeping costs as much as a point read's own work.
	kept  *sql.DB
	free  chan struct{} // a token for each that is not in use, or not open yet
	mu    sync.Mutex
	roomy *sql.Conn   // the one that has a large page cache, which comes first where several are free; nil until it is open
	idle  []*sql.Conn // the others that are open and not in use; the one that was used last, whose page cache is warm, comes last
	rests bool        // roomy is not in use

	opened  int              // of the kept, how many are open
	waiting []chan *sql.Conn // who could open none, and gets the next that is free
}

// maxReaders bounds the connections of snapshots and of others' statements; each costs some file descriptors.
const maxReaders = 256

// OpenReaders opens none yet: each is opened when it is needed first. They wait for locks, and for each other where all
// are in use, as w says.
func OpenReaders(s Settings, w Wait) *Readers {
	params := s.params()
	params.Set("mode", "ro")
	s.Guarded, s.Private = nil, nil // all writing is refused, for another reason
	connector := s.connector(params)
	few := max(4, 2*runtime.GOMAXPROCS(0))
	r := &Readers{
		connector: connector, pool: sql.OpenDB(connector), wait: w, kept: sql.OpenDB(connector), free: make(chan struct{}, few),
	}
	r.pool.SetMaxOpenConns(maxReaders)
	r.pool.SetMaxIdleConns(few)
	for range few {
		r.free <- struct{}{}
	}
	return r
}

// Pool is the pool itself, for snapshots and for statements of others.
func (r *Readers) Pool() *sql.DB { return r.pool }

// Lend calls f with what runs one statement of others, again if a lock was in the way. If all connections are in use it waits
// for one, and all its waiting is one Wait. The rows that f leaves open keep theirs.
func (r *Readers) Lend(ctx context.Context, f func(db.DBTX) error) error {
	w := r.wait.In(ctx).Start()
	return w.Retry(ctx, func() error { return r.lend(ctx, w, f) })
}

func (r *Readers) lend(ctx context.Context, w Wait, f func(db.DBTX) error) error {
	// The pool itself would wait for ever. While half of its connections are free it does not wait.
	if stats := r.pool.Stats(); stats.InUse < stats.MaxOpenConnections/2 {
		return f(r.pool)
	}
	conn, err := lend(ctx, r.pool, w)
	if err != nil {
		return err
	}
	if err := f(conn); err != nil {
		_ = conn.Close()
		return err
	}
	go conn.Close() // it waits for the rows
	return nil
}

// Prepare compiles a statement that runs on any connection of the pool. It waits as Lend does.
func (r *Readers) Prepare(ctx context.Context, query string) (stmt *sql.Stmt, err error) {
	w := r.wait.In(ctx).Start()
	err = w.Retry(ctx, func() error {
		return w.forConnection(ctx, r.pool, func(ctx context.Context) error { // it does not bound what is prepared
			stmt, err = r.pool.PrepareContext(ctx, query)
			return err
		})
	})
	return stmt, err
}

// Do runs f on a connection outside of a transaction, again if a lock was in the way. f must leave nothing open.
func (r *Readers) Do(ctx context.Context, f func(*sql.Conn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	var w Wait // started with the first wait: asking for the time costs a part of a point read
	err := r.try(ctx, &w, f)
	if err == nil || !IsBusy(err) {
		return err
	}
	r.startWait(ctx, &w)
	return w.Retry(ctx, func() error { return r.try(ctx, &w, f) })
}

// startWait starts w as r waits, unless it has started.
func (r *Readers) startWait(ctx context.Context, w *Wait) {
	if w.since.IsZero() {
		*w = r.wait.In(ctx).Start()
	}
}

func (r *Readers) try(ctx context.Context, w *Wait, f func(*sql.Conn) error) error {
	conn, err := r.take(ctx, w)
	if err != nil {
		return err
	}
	err = f(conn)
	if IsConnectionGone(err) {
		r.drop(conn)
	} else {
		r.put(conn)
	}
	r.free <- struct{}{}
	return err
}

// Close closes the connections. None may be in use.
func (r *Readers) Close() error {
	for _, conn := range r.idle {
		_ = conn.Close()
	}
	if r.roomy != nil {
		_ = r.roomy.Close()
	}
	return errors.Join(r.kept.Close(), r.pool.Close())
}

func (r *Readers) take(ctx context.Context, w *Wait) (*sql.Conn, error) {
	select {
	case <-r.free:
	default:
		r.startWait(ctx, w)
		if err := r.waitForOne(ctx, *w); err != nil {
			return nil, err
		}
	}
	if conn := r.idling(); conn != nil {
		return conn, nil
	}
	r.startWait(ctx, w)
	conn, err := r.open(ctx, *w)
	if cannotOpen(err) {
		conn, err = r.another(ctx, *w, err)
	}
	if err != nil {
		r.free <- struct{}{}
	}
	return conn, err
}

// idling is a connection that is open and not in use, if there is one.
func (r *Readers) idling() *sql.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idlingLocked()
}

func (r *Readers) idlingLocked() *sql.Conn {
	if r.rests {
		r.rests = false
		return r.roomy
	}
	last := len(r.idle) - 1
	if last < 0 {
		return nil
	}
	conn := r.idle[last]
	r.idle = r.idle[:last]
	return conn
}

func (r *Readers) put(conn *sql.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		r.waiting[0] <- conn
		r.waiting = r.waiting[1:]
		return
	}
	if conn == r.roomy {
		r.rests = true
	} else {
		r.idle = append(r.idle, conn)
	}
}

// drop closes a connection that is in use.
func (r *Readers) drop(conn *sql.Conn) {
	r.mu.Lock()
	if conn == r.roomy {
		r.roomy = nil // the next that is opened takes its place
	}
	if r.opened--; r.opened == 0 {
		r.disappoint()
	}
	r.mu.Unlock()
	_ = conn.Close()
}

// open takes a connection out of its pool, for as long as it works. All files that reading needs are open then.
func (r *Readers) open(ctx context.Context, w Wait) (*sql.Conn, error) {
	conn, err := lend(ctx, r.kept, w)
	if err != nil {
		return nil, err
	}
	var n int
	if err := conn.QueryRowContext(context.Background(), "SELECT count(*) FROM sqlite_schema").Scan(&n); err != nil {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // the next opens them anew
		return nil, err
	}
	r.mu.Lock()
	r.opened++
	first := r.roomy == nil
	if first {
		r.roomy = conn
	}
	r.mu.Unlock()
	if !first {
		return conn, nil
	}
	err = asOurselves(conn, func() error {
		_, err := conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA cache_size = -%d", roomyCacheKiB))
		return err
	})
	if err != nil {
		r.drop(conn)
		return nil, err
	}
	return conn, nil
}

func (r *Readers) waitForOne(ctx context.Context, w Wait) error {
	timeout := time.NewTimer(w.Left())
	defer timeout.Stop()
	select {
	case <-r.free:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("%w: waited %s", ErrNoConnection, w.Limit)
	}
}

// lend takes a connection out of a pool. It waits for one no longer than for a lock.
func lend(ctx context.Context, pool *sql.DB, w Wait) (conn *sql.Conn, err error) {
	err = w.forConnection(ctx, pool, func(ctx context.Context) error {
		conn, err = pool.Conn(ctx)
		return err
	})
	return conn, err
}

// forConnection calls take, which waits for a connection of pool until its context ends.
func (w Wait) forConnection(ctx context.Context, pool *sql.DB, take func(context.Context) error) error {
	const opening = time.Second // a busy machine may take a moment, even if there is nobody to wait for
	limit := w.Left()
	if s := pool.Stats(); s.MaxOpenConnections == 0 || s.InUse < s.MaxOpenConnections {
		limit = max(limit, opening)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := take(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: waited %s", ErrNoConnection, w.Limit)
	}
	return err
}
