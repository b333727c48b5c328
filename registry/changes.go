package registry

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/oxide-k/stateregistry/db"
)

// The core's subjects. A subsystem's triggers may log changes under a subject of its own; nothing stops them from using
// these.
const (
	SubjectConfig = "config"
	SubjectModule = "module"
	// SubjectRegistry is the registry as a whole: it was restored from a backup. The key is the registry's id. Such a change is the
	// first of the log, and leaves numbers out before it.
	SubjectRegistry = "registry"
)

// Op is what happened to a row.
type Op string

// The operations that the core logs.
const (
	OpPut    Op = "put" // the row was inserted or updated
	OpDelete Op = "delete"
)

// Change is an entry of the change log: that a row changed, not what it holds. Read the row to know; it may be newer by
// then, or gone.
type Change struct {
	Revision int64
	Subject  string // SubjectConfig, SubjectModule, or a subsystem's own
	Key      string // the config key, the module id, or what a subsystem logged
	Op       Op
	At       time.Time // in UTC, as the writer says; zero where it wrote no readable time
}

// Changes returns changes with a revision above after: see [Reader].
func (a *access) Changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	changes, err := a.changes(ctx, after, limit)
	return changes, failed("list changes", "", err)
}

func (a *access) changes(ctx context.Context, after int64, limit int) ([]Change, error) {
	if after < 0 {
		return nil, invalid("revision %d", after)
	}
	if limit < 1 {
		return nil, invalid("at most %d changes", limit)
	}
	var rows []db.Change
	var newest int64
	err := a.read(ctx, func(q *sql.Conn) (err error) {
		rows, err = queries.ListChanges(ctx, q, db.ListChangesParams{After: after, MaxRows: int64(limit)})
		if err != nil || len(rows) > 0 {
			return err
		}
		newest, err = queries.GetRevision(background, q)
		return err
	})
	switch {
	case err != nil:
		return nil, ended(ctx, err)
	case len(rows) > 0 && rows[0].Revision != after+1:
		return nil, fmt.Errorf("%w: asked for revision %d, the oldest is %d", ErrCompacted, after+1, rows[0].Revision)
	case len(rows) == 0 && after > newest:
		return nil, fmt.Errorf("%w: asked for what follows %d, the newest is %d", ErrCompacted, after, newest)
	}
	if len(rows) > 0 {
		newest = rows[len(rows)-1].Revision
	}
	a.cache().learn(newest)
	for i, row := range rows {
		if want := after + 1 + int64(i); row.Revision != want {
			return nil, fmt.Errorf("%w: the change log lacks revision %d", ErrCorrupt, want)
		}
	}
	return newChanges(rows), nil
}

func newChanges(rows []db.Change) []Change {
	changes := make([]Change, len(rows))
	for i, row := range rows {
		changes[i] = Change{
			Revision: row.Revision, Subject: row.Subject, Key: row.Key, Op: Op(row.Op), At: row.At.Time,
		}
	}
	return changes
}

// Revision is the newest committed revision: see [Reader].
func (a *access) Revision(ctx context.Context) (int64, error) {
	var revision int64
	err := a.read(ctx, func(q *sql.Conn) (err error) {
		revision, err = queries.GetRevision(background, q)
		return err
	})
	a.cache().learn(revision)
	return revision, failed("read revision", "", err)
}
