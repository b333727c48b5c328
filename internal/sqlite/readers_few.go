package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/mattn/go-sqlite3"
)

// What Readers do if no further connection can be opened: the process has no descriptor left, or gave up the privileges that
// opening the file needs. The connections that are open serve on.

// Warm opens one connection, and with it what it needs to read, so that reading works from then on whatever the process loses.
func (r *Readers) Warm(ctx context.Context) error {
	return r.Do(ctx, func(*sql.Conn) error { return nil })
}

// BeginRead is BeginRead on a connection of the pool. If none can be opened it takes one of those that Do uses: waiting for it if
// the file may not be opened any more, and otherwise, since that passes, only if one is free.
func (r *Readers) BeginRead(ctx context.Context, w Wait) (*Tx, error) {
	w = w.Start()
	tx, err := BeginRead(ctx, r.pool, w)
	if !cannotOpen(err) {
		return tx, err
	}
	conn := r.spare()
	if conn == nil {
		if !errors.Is(err, fs.ErrPermission) && !errors.Is(SystemError(err), fs.ErrPermission) {
			return nil, err
		}
		if conn, err = r.take(ctx, &w); err != nil {
			return nil, err
		}
	}
	release := func() { r.free <- struct{}{} }
	tx, err = beginOn(conn, w, "BEGIN", true)
	if err != nil {
		r.drop(conn)
		release()
		return nil, err
	}
	tx.giveBack = func() {
		if tx.raw.AutoCommit() {
			r.put(conn)
		} else { // it could not even roll back
			r.drop(conn)
		}
		release()
	}
	return tx, nil
}

// spare takes a connection that is open and not in use, or nil.
func (r *Readers) spare() *sql.Conn {
	select {
	case <-r.free:
	default:
		return nil
	}
	conn := r.idling()
	if conn == nil {
		r.free <- struct{}{}
	}
	return conn
}

// another waits for a connection that is in use, since none could be opened. If there is none it returns refused, the reason.
func (r *Readers) another(ctx context.Context, w Wait, refused error) (*sql.Conn, error) {
	r.mu.Lock()
	if conn := r.idlingLocked(); conn != nil || r.opened == 0 {
		r.mu.Unlock()
		if conn == nil {
			return nil, refused
		}
		return conn, nil
	}
	next := make(chan *sql.Conn, 1)
	r.waiting = append(r.waiting, next)
	r.mu.Unlock()

	timeout := time.NewTimer(w.Left())
	defer timeout.Stop()
	err := refused
	select {
	case conn := <-next:
		if conn != nil {
			return conn, nil
		}
		return nil, refused
	case <-ctx.Done():
		err = ctx.Err()
	case <-timeout.C:
	}
	r.mu.Lock()
	at := slices.Index(r.waiting, next)
	if at >= 0 {
		r.waiting = slices.Delete(r.waiting, at, at+1)
	}
	r.mu.Unlock()
	if at < 0 { // it came just now
		if conn := <-next; conn != nil {
			r.put(conn)
		}
	}
	return nil, err
}

// disappoint tells all that wait for a connection that there is none any more. The caller holds r.mu.
func (r *Readers) disappoint() {
	for _, next := range r.waiting {
		next <- nil
	}
	r.waiting = nil
}

// cannotOpen reports whether err says that a file could not be opened.
func cannotOpen(err error) bool {
	if _, ok := errors.AsType[*causeError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok { // before SQLite was asked
		return true
	}
	return hasCode(err, sqlite3.ErrCantOpen)
}
