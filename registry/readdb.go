package registry

import (
	"context"
	"database/sql"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// ReadDB runs a subsystem's generated queries outside of a transaction. Each statement sees the newest commit; writing
// gives ErrReadOnly. Close rows that you got from it before you close the registry, and soon: they hold a connection, and
// where open rows and Views hold all 256, statements wait for one no longer than [WithLockTimeout] and then give ErrBusy.
// The errors of a row's Scan and of a prepared statement are database/sql's, and a prepared statement waits as long as its
// context lets it. (Of package db only DBTX is meant for subsystems; its queries are the registry's own.)
func (r *Registry) ReadDB() db.DBTX { return readDB{r} }

// readDB gives the errors of a Reader, where database/sql lets it: QueryRowContext's come from Scan.
type readDB struct{ r *Registry }

func (d readDB) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = d.run(ctx, func(q db.DBTX) error {
		result, err = q.ExecContext(ctx, query, args...)
		return err
	})
	return result, failed("exec", "", err)
}

func (d readDB) PrepareContext(ctx context.Context, query string) (stmt *sql.Stmt, err error) {
	if err = d.r.enter(ctx); err == nil {
		defer d.r.leave()
		stmt, err = d.r.readers.Prepare(ctx, query)
	}
	return stmt, failed("prepare", "", err)
}

func (d readDB) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	err = d.run(ctx, func(q db.DBTX) error {
		rows, err = q.QueryContext(ctx, query, args...)
		return err
	})
	return rows, failed("query", "", err)
}

func (d readDB) QueryRowContext(ctx context.Context, query string, args ...any) (row *sql.Row) {
	err := d.run(ctx, func(q db.DBTX) error {
		row = q.QueryRowContext(ctx, query, args...)
		return row.Err()
	})
	if err != nil {
		return sqlite.ErrorRow(failed("query", "", err))
	}
	return row
}

func (d readDB) run(ctx context.Context, try func(db.DBTX) error) error {
	if err := d.r.enter(ctx); err != nil {
		return err
	}
	defer d.r.leave()
	return d.r.readers.Lend(ctx, try)
}
