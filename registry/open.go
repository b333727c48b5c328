package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"database/sql"

	"github.com/oxide-k/stateregistry/internal/commit"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// InMemory is the path of a registry in memory: each Open with it gives an empty one of its own, gone when it is closed.
// There is no WAL in memory: an open View holds writers back, and an open Update readers.
const InMemory = sqlite.InMemory

// Open opens the registry at path, and creates it, readable by its owner only, if there is no file. Pending migrations
// run first, all in one transaction: of processes that open a file at the same moment each finds it whole. A database
// that oxide-k wrote opens as it is, and stays readable and writable for oxide-k.
//
// A file that Open refuses stays as it was, byte for byte: ErrNotRegistry for another program's database and for a file
// that is none, ErrCorrupt for one whose guards are missing or altered, ErrNewerSchema, ErrMigrationChanged, and
// ErrOldSchema with WithReadOnly. A missing folder is fs.ErrNotExist, a file that cannot be written ErrReadOnly, an
// option or a path that makes no sense ErrInvalid, locks that others hold for too long ErrBusy.
//
// ctx bounds the opening only. The path is taken as it is: it is no URI, and may hold any character but NUL.
func Open(ctx context.Context, path string, opts ...Option) (*Registry, error) {
	r, err := open(ctx, path, opts)
	if err != nil {
		return nil, failed("open", path, err)
	}
	return r, nil
}

func open(ctx context.Context, path string, opts []Option) (*Registry, error) {
	o, err := newOptions(opts)
	if err != nil {
		return nil, err
	}
	if err := sqlite.CheckLibrary(); err != nil {
		return nil, err
	}
	location, err := sqlite.Locate(path)
	if err != nil {
		return nil, invalid("%w", err)
	}
	r := &Registry{location: location, opts: o, wait: sqlite.Wait{Limit: o.lockTimeout}}
	r.access = access{r}
	r.calls.empty = make(chan struct{}, 1)

	status, err := r.look(ctx)
	if err != nil {
		return nil, err
	}
	settings := sqlite.Settings{Location: location, RelaxedSync: o.durability == Normal}
	if !o.readOnly {
		writer, err := sqlite.OpenWriter(ctx, settings, r.wait)
		if err != nil {
			return nil, err
		}
		r.queue = commit.NewQueue(writer, r.wait)
		if err := r.prepare(ctx, status); err != nil {
			return nil, errors.Join(err, r.queue.Close())
		}
	}
	r.readers = sqlite.OpenReaders(settings)
	return r, nil
}

// look inspects what is there, before anything is changed.
func (r *Registry) look(ctx context.Context) (migrate.Status, error) {
	status := migrate.Status{New: true}
	exists, err := r.location.Exists()
	if err != nil {
		return status, err
	}
	if exists {
		err := sqlite.Look(ctx, r.location, r.wait, func(conn *sql.Conn) error {
			status, err = migrate.Inspect(context.Background(), conn, r.opts.sets)
			return err
		})
		if err != nil {
			return status, err
		}
	}
	switch {
	case r.location.IsMemory():
		if r.opts.mustExist || r.opts.readOnly {
			return status, invalid("a registry in memory is always new")
		}
	case !exists && (r.opts.mustExist || r.opts.readOnly):
		return status, fs.ErrNotExist
	case status.New && (r.opts.mustExist || r.opts.readOnly):
		return status, fmt.Errorf("%w: the file is empty", ErrNotRegistry)
	case r.opts.readOnly && len(status.Pending) > 0:
		return status, fmt.Errorf("%w: %s: %s", ErrOldSchema, status.Pending[0].Set, status.Pending[0].Name)
	}
	return status, nil
}

// prepare runs what is pending and stores the log's limit, in one transaction, or none where there is nothing to do.
func (r *Registry) prepare(ctx context.Context, status migrate.Status) error {
	if status.New || len(status.Pending) > 0 {
		now, err := r.opts.now()
		if err != nil {
			return err
		}
		err = r.queue.Exclusive(ctx, func(tx *sqlite.Tx) error {
			applied, err := migrate.Apply(context.Background(), tx, r.opts.sets, now.Time)
			if err != nil {
				return err
			}
			if err := tx.Commit(); err != nil {
				return err
			}
			for _, m := range applied {
				r.opts.logger.InfoContext(ctx, "registry: migration applied",
					"path", r.location.String(), "set", m.Set, "migration", m.Name)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if r.opts.logLimit == 0 {
		return nil
	}
	return r.queue.Do(ctx, func(conn *sql.Conn) error {
		row, err := queries.GetRegistry(context.Background(), conn)
		if err != nil || row.LogLimit == r.opts.logLimit {
			return err
		}
		return queries.SetLogLimit(context.Background(), conn, r.opts.logLimit)
	})
}
