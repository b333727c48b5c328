package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/dbfile"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/schema"
)

// What an opening does once it has looked at the file: migrations, the WAL, keys.

// prepareOrClose prepares, and closes the queue if that did not succeed: a callback of the caller's may panic in it.
func (r *opening) prepareOrClose(ctx context.Context, writer *sql.DB, status migrate.Status) (err error) {
	prepared := false
	defer func() {
		if !prepared {
			err = errors.Join(err, r.queue.Close(nil))
		}
	}()
	err = r.prepare(ctx, writer, status)
	prepared = err == nil
	return err
}

// prepare runs what is pending, in one transaction, and then switches to WAL: a migration that fails leaves an oxide-k
// file as it was, to the byte. It stores the log's limit where that is another.
func (r *opening) prepare(ctx context.Context, writer *sql.DB, status migrate.Status) error {
	if status.New || len(status.Pending) > 0 || r.convert != nil {
		if err := r.migrate(ctx, writer, status); err != nil {
			return err
		}
	} else if err := r.checkWriter(ctx, writer, status.ID); err != nil {
		return err
	}
	if err := sqlite.UseWAL(ctx, writer, r.location, r.wait); err != nil {
		return err
	}
	if err := sqlite.Prove(ctx, writer); err != nil {
		return err
	}
	if !r.location.IsMemory() { // where no other program gets at it
		r.queue.Begin(r.guard)
	}
	if r.keys.keyed {
		if err := r.unlock(ctx, writer); err != nil {
			return err
		}
	}
	if r.opts.logLimit == 0 {
		return nil
	}
	return r.queue.Do(ctx, commit.Write{Change: func(conn *sql.Conn) error {
		row, err := queries.GetRegistry(background, conn)
		if err != nil || row.LogLimit == r.opts.logLimit {
			return err
		}
		return queries.SetLogLimit(background, sqlite.Privileged(conn, sqlite.Update("registry")), r.opts.logLimit)
	}})
}

// checkWriter makes sure, before the first write, that writer has the registry with that id open, and may write it.
// (Where something is pending, the transaction that runs it looks again.)
func (r *opening) checkWriter(ctx context.Context, writer *sql.DB, id string) error {
	err := r.wait.Retry(ctx, func() error {
		row, err := queries.GetRegistry(background, writer)
		if sqlite.IsStatementError(err) || errors.Is(err, sql.ErrNoRows) || err == nil && row.ID != id {
			return dbfile.ErrReplaced
		}
		return err
	})
	if err != nil {
		return err
	}
	return sqlite.Prove(ctx, writer)
}

func (r *opening) migrate(ctx context.Context, writer *sql.DB, looked migrate.Status) (err error) {
	now, err := r.opts.now()
	if err != nil {
		return err
	}
	restore, err := sqlite.WithoutForeignKeys(ctx, writer, r.wait)
	if err != nil {
		return ended(ctx, err)
	}
	defer func() { err = ended(ctx, errors.Join(err, restore())) }()
	run := func() error { return r.migrateNow(ctx, looked, now) }
	size, err := r.location.Size()
	if err != nil {
		return err
	}
	if r.convert == nil && size > largeFile { // plaintext has no place in temporary files
		return sqlite.WithTempFiles(ctx, writer, r.location, r.wait, run)
	}
	return run()
}

// largeFile is when what migrations put aside goes to temporary files, which may be as much as the file has: an UPDATE of all
// rows needs their former pages.
const largeFile = 64 << 20

// migrateNow runs what is pending in one transaction, on a connection that does not enforce foreign keys.
func (r *opening) migrateNow(ctx context.Context, looked migrate.Status, now schema.Timestamp) error {
	return r.queue.Exclusive(ctx, func(tx *sqlite.Tx) error {
		if enforced, err := tx.EnforcesForeignKeys(); err != nil {
			return err
		} else if enforced { // a connection that could not write was given up, and this is another one
			return fmt.Errorf("another connection took the writer's place: %w", dbfile.ErrReplaced)
		}
		found, err := migrate.Apply(ctx, tx, r.opts.sets, now, r.id)
		if err != nil {
			return err
		}
		if found.New && !looked.New || found.ID != r.id { // another process made the registry, or put another file there
			return dbfile.ErrReplaced
		}
		if r.convert != nil {
			if err := r.convert(ctx, tx, found); err != nil {
				return err
			}
		}
		if err := tx.Commit(ctx); sqlite.IsStatementError(err) { // of a virtual table of a set's
			return invalid("migrations: %w", err)
		} else if err != nil {
			return err
		}
		r.converted = r.convert != nil
		for _, m := range found.Pending {
			r.opts.logger.InfoContext(ctx, "registry: migration applied",
				"path", r.location.String(), "set", m.Set, "migration", m.Name)
		}
		return nil
	})
}
