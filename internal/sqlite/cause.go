package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// SQLite opens a file for reading if it could not open it for writing, whatever the reason, and reports the error of the
// second attempt only. So a process that has no free descriptor for a moment sees ENOENT for a file that is about to be
// created, or gets a connection that cannot write for as long as it lives. What follows mends both.

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	c.noSetting = setsNoPragma(query)
	return c.query(ctx, query, args)
}

// query does what QueryContext does, for a text whose noSetting is known.
func (c *conn) query(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := c.SQLiteConn.QueryContext(ctx, query, args)
	if err != nil && c.mayRepeat(err) {
		rows, err = c.SQLiteConn.QueryContext(ctx, query, args)
	}
	if err != nil {
		err = c.heed(err)
	}
	if still := c.settings.Location.still; still != nil {
		return still.rows(rows, err)
	}
	if err != nil {
		return nil, err
	}
	return rows, nil
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.noSetting = setsNoPragma(query)
	return c.exec(ctx, query, args)
}

// exec does what ExecContext does, for a text whose noSetting is known.
func (c *conn) exec(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	result, err := c.SQLiteConn.ExecContext(ctx, query, args)
	if err != nil && c.mayRepeat(err) {
		result, err = c.SQLiteConn.ExecContext(ctx, query, args)
	}
	if err != nil {
		return nil, c.heed(err)
	}
	return result, nil
}

// PrepareContext implements driver.ConnPrepareContext.
func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	c.noSetting = setsNoPragma(query)
	stmt, err := c.SQLiteConn.PrepareContext(ctx, query)
	if err != nil && c.mayRepeat(err) {
		stmt, err = c.SQLiteConn.PrepareContext(ctx, query)
	}
	if err != nil {
		return nil, c.heed(err)
	}
	if still := c.settings.Location.still; still != nil {
		return stillStmt{stmt.(*sqlite3.SQLiteStmt), still}, nil
	}
	return stmt, nil
}

// mayRepeat reports whether a statement failed because a file could not be opened for a moment, and did nothing. In a
// transaction it may have undone that, so there it is not repeated.
func (c *conn) mayRepeat(err error) bool {
	return c.state.Load() == outside && c.AutoCommit() && isWronglyMissing(err, c.settings.Location.path)
}

// heed gives an error its true cause. A connection that should write and cannot is given up once it is free, so that the next
// call gets a new one.
func (c *conn) heed(err error) error {
	if c.settings.writes && IsReadOnly(err) && !hasExtendedCode(err, sqlite3.ErrReadonlyDbMoved) {
		c.unfit.Store(true)
		if cause := noDescriptor(c.settings.Location); cause != nil {
			return &causeError{err.Error(), cause}
		}
		return err
	}
	return withCause(err, c.settings, c.settings.Location.path)
}

// withCause replaces "no such file" by the true cause, if present is there after all.
func withCause(err error, s Settings, present string) error {
	if !isWronglyMissing(err, present) {
		return err
	}
	cause := noDescriptor(s.Location)
	if cause == nil && s.writes {
		cause = cannotCreate(s.Location)
	}
	return &causeError{err.Error(), cause}
}

// isWronglyMissing reports whether err says that a file is missing, although what it needs to be created is there.
func isWronglyMissing(err error, present string) bool {
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok || e.Code != sqlite3.ErrCantOpen || present == "" {
		return false
	}
	// EBADF is what closing the rest leaves of another error, when ATTACH gives up.
	if e.SystemErrno != syscall.ENOENT && e.SystemErrno != syscall.EBADF {
		return false
	}
	_, err = os.Stat(present)
	return err == nil
}

// noDescriptor returns the error of a process, or a system, that has not the descriptors left that a connection needs, or nil.
func noDescriptor(l Location) error {
	if l.IsMemory() {
		return nil
	}
	for range 3 { // FILE, FILE-wal, FILE-shm; what SQLite could open of them is closed again
		f, err := os.Open(filepath.Dir(l.path)) // no file of the database's: closing that would drop this process's locks
		if err == nil {
			defer f.Close()
			continue
		}
		if errno, ok := errors.AsType[syscall.Errno](err); ok && (errno == syscall.EMFILE || errno == syscall.ENFILE) {
			return errno
		}
		return nil
	}
	return nil
}

// cannotCreate returns the error that the system gives of creating something beside the database, or nil.
func cannotCreate(l Location) error {
	work, err := dbfile.NewWorkspace(filepath.Dir(l.path), "probe")
	if err != nil {
		return err
	}
	return work.Remove()
}

// causeError is an error of SQLite's that named another cause than the true one. It does not wrap the driver's.
type causeError struct {
	text  string // SQLite's
	cause error  // nil if it has passed
}

func (e *causeError) Error() string {
	if e.cause == nil {
		return e.text + " (its folder is there: what kept it from being opened, a lack of descriptors perhaps, has passed)"
	}
	return e.text + ": " + e.cause.Error()
}

func (e *causeError) Unwrap() error { return e.cause }
