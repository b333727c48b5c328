package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
)

// WriteOption makes a write conditional.
type WriteOption func(*condition) error

// condition is what a row must fulfil for a write to happen.
type condition struct {
	set      bool
	revision int64
}

// IfRevision makes a write happen only where the row is at that revision, and give ErrConflict otherwise. IfRevision(0)
// demands that there is no row: create only.
func IfRevision(revision int64) WriteOption {
	return func(c *condition) error {
		if revision < 0 {
			return invalid("revision %d", revision)
		}
		if c.set {
			return invalid("IfRevision is given twice")
		}
		*c = condition{set: true, revision: revision}
		return nil
	}
}

func newCondition(opts []WriteOption) (condition, error) {
	var c condition
	err := apply(&c, opts)
	return c, err
}

// onRow returns a precondition: ErrConflict if the row is not at revision c. It is nil if c demands nothing. current reads the row's
// revision.
func (c condition) onRow(
	op, key string, current func(context.Context, db.DBTX, string) (int64, error),
) func(*sql.Conn) error {
	if !c.set {
		return nil
	}
	return func(q *sql.Conn) error {
		revision, err := current(background, q, key)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		return c.check(op, key, revision)
	}
}

// check is onRow's for a row whose revision is known; 0 is that of no row.
func (c condition) check(op, key string, revision int64) error {
	if !c.set || revision == c.revision {
		return nil
	}
	why := fmt.Errorf("%w: there is no such row, wanted revision %d", ErrConflict, c.revision)
	switch {
	case revision > 0 && c.revision > 0:
		why = fmt.Errorf("%w: it is at revision %d, wanted %d", ErrConflict, revision, c.revision)
	case revision > 0:
		why = fmt.Errorf("%w: it exists, at revision %d", ErrConflict, revision)
	}
	return &Error{Op: op, Key: key, Revision: revision, Err: why}
}

// deleteRow deletes a module or a config entry, and reports whether there was one.
func (a *access) deleteRow(
	ctx context.Context, op, key string, check func(string) error, opts []WriteOption,
	current func(context.Context, db.DBTX, string) (int64, error),
	allowed func(*sql.Conn) error, // or nil
	remove func(context.Context, db.DBTX, string) (int64, error),
) (bool, error) {
	if err := check(key); err != nil {
		return false, err
	}
	cond, err := newCondition(opts)
	if err != nil {
		return false, err
	}
	var rows int64
	onRow := cond.onRow(op, key, current)
	err = a.write(ctx, both(onRow, allowed), func(q *sql.Conn) (err error) {
		rows, err = remove(background, q, key)
		return err
	})
	return err == nil && rows > 0, err
}

// both is two checks, each of which may be nil.
func both(first, second func(*sql.Conn) error) func(*sql.Conn) error {
	if first == nil {
		return second
	}
	if second == nil {
		return first
	}
	return func(q *sql.Conn) error {
		if err := first(q); err != nil {
			return err
		}
		return second(q)
	}
}

// revisionOf is a write's answer: a write that failed has no revision.
func revisionOf(revision int64, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return revision, nil
}
