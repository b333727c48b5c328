package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/migrate"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// Tx is the transaction of a callback: of View, which gives one snapshot and does not write (ErrReadOnly), or of Update.
// It is a [Writer], and a db.DBTX for the generated queries of a subsystem, which then run in the same transaction.
//
// It belongs to its callback, and is over when that returns: ErrTxDone. SQL that begins or ends transactions is not for it:
// COMMIT and ROLLBACK both undo everything. Where a context ends while one of the caller's own statements writes, or one
// says OR ROLLBACK, or a trigger RAISE(ROLLBACK), SQLite rolls the whole transaction back. What follows gives ErrTxDone,
// and so does Update.
//
// A caller's own statement that fails undoes itself alone, unless it says OR FAIL or OR ROLLBACK: the transaction goes on,
// and is committed if the callback returns nil after all. The error of a constraint or a trigger matches no sentinel of
// this package. It wraps the driver's: with errors.As it is a sqlite3.Error of github.com/mattn/go-sqlite3, whose
// ExtendedCode says which kind of constraint it was.
//
// Statements may not change the schema of the registry's own tables, the ledger of its migrations, its id and limits, its keyset, nor
// what outlasts them on the connection: temporary objects, attached databases, settings (PRAGMA). That is ErrInvalid. So is Update if
// they leave a schema behind that no registry has: a table with a foreign key to another of the registry's tables than modules, or a
// name that is SQLite's own.
type Tx struct {
	access
	registry *Registry
	tx       *sqlite.Tx
	ctx      context.Context // the callback's; ends after the transaction
	writable bool
	keys     atomic.Pointer[keyring] // what opens the values of this snapshot
	refused  error                   // why the stored keyset could not be opened

	mu   sync.Mutex // held by each statement, and by finish, so that none slips in after the end
	done atomic.Bool
}

var _ db.DBTX = (*Tx)(nil)

// txKey marks the context of a registry's callback.
type txKey struct{ *Registry }

// View runs f on one snapshot: what was committed when View was called, and nothing that comes later. f runs once; its
// error, or panic, is passed on as it is. Inside f use tx: the registry's own methods with f's context give ErrNested. Where
// there is no connection for it (256 Views and ReadDB's open rows have them all) View gives ErrBusy after [WithLockTimeout].
func (r *Registry) View(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	if f == nil {
		return failed("view", "", invalid("a nil callback"))
	}
	if err := r.enter(ctx); err != nil {
		return failed("view", "", err)
	}
	defer r.leave()
	ring := r.ring() // before the snapshot: a rotation that ends in between may remove keys that the snapshot needs
	wait := r.wait.Start()
	stx, err := r.readers.BeginRead(ctx, wait)
	if err != nil {
		return failed("view", "", err)
	}
	defer stx.Release()
	tx, end := r.newTx(ctx, stx, ring, false)
	defer end()
	// A snapshot is taken by the first statement, not by BEGIN.
	var revision int64
	err = wait.Retry(ctx, func() (err error) {
		revision, err = queries.GetRevision(background, stx.Conn())
		return err
	})
	if err != nil {
		return failed("view", "", err)
	}
	r.reads.learn(revision)
	return f(tx.ctx, tx)
}

// Update runs f in one transaction that may write, alone: other writers wait. What f did is committed when it returns
// nil, and undone when it returns an error, panics, or ctx has ended by then. f runs once; its error, or panic, is passed
// on as it is. Inside f use tx: the registry's own methods with f's context give ErrNested.
//
// Its own errors are ErrInvalid for a schema that no registry has (see [Tx]), ErrBusy where other writers, or in memory readers,
// took longer than [WithLockTimeout], ErrReadOnly, ErrCorrupt if another program changed the registry's own schema since it was opened,
// ErrTxDone where the transaction was ended before f returned, ErrCommitUnknown, ErrClosed, the context's, and that of a
// deferred constraint, which is the driver's. Except for ErrCommitUnknown nothing was written then.
func (r *Registry) Update(ctx context.Context, f func(ctx context.Context, tx *Tx) error) error {
	if f == nil {
		return failed("update", "", invalid("a nil callback"))
	}
	if err := r.enter(ctx); err != nil {
		return failed("update", "", err)
	}
	defer r.leave()
	if r.queue == nil {
		return failed("update", "", ErrReadOnly)
	}
	defer r.reads.committed() // f may have read what others committed, whatever became of it
	var own, refused error    // f's; the keyset's
	for {
		moved := false
		err := r.queue.Exclusive(ctx, func(stx *sqlite.Tx) (err error) {
			if refused == nil {
				if moved, err = keysetMoved(stx.Conn(), r.ring()); err != nil || moved {
					return err
				}
			}
			tx, end := r.newTx(ctx, stx, r.ring(), true)
			defer end()
			tx.refused = refused
			if own = f(tx.ctx, tx); own != nil {
				return own
			}
			tx.finish()
			if err := checkSchema(ctx, stx); err != nil {
				return err
			}
			return stx.Commit(ctx)
		})
		if own != nil {
			return own
		}
		if err != nil || !moved {
			return failed("update", "", ended(ctx, err))
		}
		// A KEK may take its time to open what another process stored, and nobody should wait for it behind a transaction.
		if _, refused = r.newest(ctx); ctx.Err() != nil {
			return failed("update", "", ctx.Err())
		}
	}
}

// keysetMoved reports whether the database has another primary key than ring.
func keysetMoved(q db.DBTX, ring *keyring) (bool, error) {
	if ring == nil || ring == locked {
		return false, nil
	}
	marker, err := queries.GetKeysetMarker(background, q)
	if errors.Is(err, sql.ErrNoRows) { // it was decrypted
		return false, nil
	}
	return err == nil && marker != ring.marker, err
}

// checkSchema returns ErrInvalid if the transaction's statements changed the schema to one that no registry has, such as a foreign key
// on the registry's own tables: it would not open any more.
func checkSchema(ctx context.Context, stx *sqlite.Tx) error {
	changed, err := stx.SchemaChanged()
	if err != nil || !changed {
		return err
	}
	problems, err := migrate.Guards(ctx, stx.Conn())
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return invalid("the statements leave a registry behind that does not open: %s", strings.Join(problems, ", "))
	}
	return nil
}

// guard returns ErrCorrupt if another program changed the registry's own schema since the last transaction that wrote: with a trigger
// more, or a guard less, a write that is acknowledged could come to nothing. It returns ErrNewerSchema if that program is a newer one.
func (r *Registry) guard(stx *sqlite.Tx) error {
	return stx.CheckSchema(func(conn *sql.Conn) error { return inspectOpen(conn) })
}

// inspectOpen looks again at a registry that is open.
func inspectOpen(q db.DBTX) error {
	status, err := migrate.Inspect(background, q, nil)
	if err == nil && (status.New || len(status.Pending) > 0) {
		err = fmt.Errorf("%w: its schema became an older one", ErrCorrupt)
	}
	return err
}

// newTx is a Tx on stx. end must be called; it undoes what was not committed.
func (r *Registry) newTx(ctx context.Context, stx *sqlite.Tx, ring *keyring, writable bool) (_ *Tx, end func()) {
	tx := &Tx{registry: r, tx: stx, writable: writable}
	tx.keys.Store(ring)
	tx.access = access{tx}
	ctx, cancel := context.WithCancel(context.WithValue(ctx, txKey{r}, tx))
	tx.ctx = ctx
	return tx, func() {
		tx.finish()
		stx.Rollback()
		cancel() // not before: it would interrupt the statement that ends the transaction
	}
}

// finish lets no further statement through.
func (tx *Tx) finish() {
	tx.mu.Lock()
	defer tx.mu.Unlock()
	tx.done.Store(true)
}

// enter begins a statement; tx.mu must be unlocked after it unless there was an error.
func (tx *Tx) enter(ctx context.Context) error {
	tx.mu.Lock()
	err := ctx.Err()
	if tx.done.Load() {
		err = ErrTxDone
	} else if err == nil {
		err = tx.tx.Standing()
	}
	if err != nil {
		tx.mu.Unlock()
	}
	return err
}

// settings implements scope.
func (tx *Tx) settings() *options { return &tx.registry.opts }

// secrets implements scope.
func (tx *Tx) secrets() *secrets { return &tx.registry.keys }

// ring implements scope.
func (tx *Tx) ring() *keyring { return tx.keys.Load() }

// use implements scope.
func (tx *Tx) use(k *keyring) bool {
	tx.keys.Store(k)
	tx.registry.keys.advance(k) // what a snapshot showed was seen
	return true
}

// refusal implements scope.
func (tx *Tx) refusal() error { return tx.refused }

// isSnapshot implements scope.
func (tx *Tx) isSnapshot() bool { return !tx.writable }

// cache implements scope: a transaction reads the database.
func (tx *Tx) cache() *readCache { return nil }

// read implements scope.
func (tx *Tx) read(ctx context.Context, f func(*sql.Conn) error) error {
	if err := tx.enter(ctx); err != nil {
		return err
	}
	defer tx.mu.Unlock()
	return f(tx.tx.Conn())
}

// write implements scope.
func (tx *Tx) write(ctx context.Context, check, change func(*sql.Conn) error) error {
	if !tx.writable && !tx.done.Load() {
		return fmt.Errorf("%w: the transaction of a View", ErrReadOnly)
	}
	return tx.read(ctx, func(q *sql.Conn) error {
		if check != nil {
			if err := check(q); err != nil {
				return err
			}
		}
		return change(q)
	})
}

// update implements scope.
func (tx *Tx) update(ctx context.Context, f func(context.Context, *Tx) error) error {
	if err := tx.write(ctx, nil, func(*sql.Conn) error { return nil }); err != nil { // before f, which may have effects
		return failed("update", "", err)
	}
	return f(ctx, tx)
}

// ExecContext implements db.DBTX.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = tx.run(ctx, func(q db.DBTX) error {
		result, err = q.ExecContext(ctx, query, args...)
		return err
	})
	return result, failed("exec", "", err)
}

// PrepareContext implements db.DBTX. The statement is closed with the transaction.
func (tx *Tx) PrepareContext(ctx context.Context, query string) (stmt *sql.Stmt, err error) {
	err = tx.run(ctx, func(q db.DBTX) error {
		stmt, err = q.PrepareContext(ctx, query)
		return err
	})
	return stmt, failed("prepare", "", err)
}

// QueryContext implements db.DBTX. Rows that are still open when the callback returns are closed.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (rows *sql.Rows, err error) {
	err = tx.run(ctx, func(q db.DBTX) error {
		rows, err = q.QueryContext(ctx, query, args...)
		return err
	})
	return rows, failed("query", "", err)
}

// QueryRowContext implements db.DBTX. The row's Scan gives the errors.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) (row *sql.Row) {
	err := tx.run(ctx, func(q db.DBTX) error {
		row = q.QueryRowContext(ctx, query, args...)
		return row.Err()
	})
	if err != nil {
		return sqlite.ErrorRow(failed("query", "", err))
	}
	return row
}

// run runs a statement of the caller's.
func (tx *Tx) run(ctx context.Context, statement func(db.DBTX) error) error {
	if err := tx.enter(ctx); err != nil {
		return err
	}
	defer tx.mu.Unlock()
	q, err := tx.tx.SQL()
	if err != nil {
		return err
	}
	return statement(q)
}
