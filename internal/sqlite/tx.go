package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// ErrCommitUnknown is what Commit returns where the commit may or may not have reached the disk.
var ErrCommitUnknown = errors.New("the disk failed during the commit")

// ErrGone is Standing's word on a transaction that was ended before its time: by SQLite, or by a statement.
var ErrGone = errors.New("the transaction was rolled back")

// Tx is a transaction on a connection of its own. It is not safe for concurrent use.
type Tx struct {
	conn  *sql.Conn
	raw   *conn
	wait  Wait
	books *sql.Tx // nil until SQL was called

	committed bool
	// schema is SQLite's count of changes of the schema, as it was before the statements of SQL.
	schema int64

	giveBack func() // nil: closing the connection does it
}

// BeginWrite begins a transaction that holds the write lock from the start: one that began by reading would get a busy
// error at its first write. It waits for the connection and for the lock until ctx ends or w's limit has passed. What it
// leaves of the limit is Commit's.
func BeginWrite(ctx context.Context, pool *sql.DB, w Wait) (*Tx, error) {
	return begin(ctx, pool, w, "BEGIN IMMEDIATE", false)
}

// BeginRead begins a transaction for reading. Its snapshot is that of its first statement.
func BeginRead(ctx context.Context, pool *sql.DB, w Wait) (*Tx, error) {
	return begin(ctx, pool, w, "BEGIN", true)
}

func begin(ctx context.Context, pool *sql.DB, w Wait, statement string, reading bool) (*Tx, error) {
	w = w.Start()
	try := func() (tx *Tx, err error) {
		err = w.Retry(ctx, func() error {
			conn, err := lend(ctx, pool, w)
			if err != nil {
				return err
			}
			tx, err = beginOn(conn, w, statement, reading)
			return err
		})
		return tx, err
	}
	tx, err := try()
	if !reading && IsReadOnly(err) { // that connection was given up, and another one may write
		tx, err = try()
	}
	return tx, err
}

// beginOn begins a transaction on a connection, which it closes on an error.
func beginOn(c *sql.Conn, w Wait, statement string, reading bool) (_ *Tx, err error) {
	tx := &Tx{conn: c}
	defer func() {
		if err != nil {
			_ = c.Close()
		}
	}()
	err = c.Raw(func(dc any) error {
		tx.raw = dc.(*conn)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if _, err := c.ExecContext(context.Background(), statement); err != nil {
		return nil, err
	}
	if !reading {
		if err := prove(c, tx.raw); err != nil {
			return nil, err // closing gives the connection up, and with it the transaction
		}
	}
	tx.wait = w.Stop()
	tx.raw.altered = nil
	tx.raw.reading.Store(reading)
	tx.raw.state.Store(standing)
	return tx, nil
}

// prove makes sure that a connection, which has a write transaction, can write. SQLite opens a file that it may not write for
// reading, and says so at the first statement that writes. This one writes nothing: it gives back at most one free page, of a
// file with auto_vacuum.
func prove(c *sql.Conn, raw *conn) error {
	if raw.proven {
		return nil
	}
	// It may have waited for the lock while the file got another name: then this transaction would change that one.
	if err := raw.settings.Location.check(); err != nil {
		return err
	}
	err := raw.with(rights{everything: true}, func() error {
		_, err := c.ExecContext(context.Background(), "PRAGMA incremental_vacuum(1)")
		return err
	})
	raw.proven = err == nil
	return err
}

// Conn is the connection, for statements within the transaction that leave nothing open. One that failed may have made
// SQLite roll the whole transaction back, and those after it would run outside of any: check Standing before each.
func (tx *Tx) Conn() *sql.Conn { return tx.conn }

// SQL is the transaction for statements that are not ours. Rows that they leave open would keep the connection for ever,
// hold off the COMMIT (RETURNING), and pass an interrupt on to it; a prepared statement would outlive the transaction.
// database/sql keeps book of both, and Commit and Rollback close them first.
func (tx *Tx) SQL() (*sql.Tx, error) {
	if tx.books == nil {
		var version int64
		if !tx.raw.reading.Load() {
			var err error
			if version, err = tx.schemaVersion(); err != nil {
				return nil, err
			}
		}
		books, err := tx.conn.BeginTx(context.Background(), nil)
		if err != nil {
			return nil, err
		}
		tx.schema, tx.books = version, books
	}
	return tx.books, nil
}

// SchemaChanged closes what SQL's statements left open, and reports whether they changed the schema.
func (tx *Tx) SchemaChanged() (bool, error) {
	if tx.books == nil {
		return false, nil
	}
	tx.settle()
	if err := tx.Standing(); err != nil {
		return false, err
	}
	version, err := tx.schemaVersion()
	return version != tx.schema, err
}

// CheckSchema calls look if the schema is not the one that look accepted on this connection before: another program may have
// changed it since. It is for the beginning of a transaction that writes.
func (tx *Tx) CheckSchema(look func(*sql.Conn) error) error {
	version, err := tx.schemaVersion()
	if err != nil || tx.raw.accepted && version == tx.raw.schema {
		return err
	}
	tx.raw.accepted = false
	if err := look(tx.conn); err != nil {
		return err
	}
	tx.raw.accepted, tx.raw.schema = true, version
	return nil
}

// schemaVersion returns SQLite's count of changes of the schema.
func (tx *Tx) schemaVersion() (int64, error) {
	direct := NewDirect(tx.conn)
	_ = direct.QueryRowContext(context.Background(), "PRAGMA schema_version")
	return direct.Int64()
}

// settle closes what SQL's statements left open, and waits for those that are running.
func (tx *Tx) settle() {
	if tx.books != nil {
		_ = tx.books.Rollback() // rolls nothing back; an error says that it was called before
	}
}

// Standing is nil while the transaction is open, and an error once something else than Commit and Rollback ended it.
func (tx *Tx) Standing() error {
	if tx.raw.AutoCommit() || tx.raw.state.Load() == over {
		return ErrGone
	}
	return nil
}

// Commit makes the transaction's changes durable. If readers of a database without a WAL hold that off it waits, until ctx
// ends or what the beginning left of the limit has passed. On an error nothing was committed, except for ErrCommitUnknown. Either way the
// transaction is over; Release must follow.
func (tx *Tx) Commit(ctx context.Context) error {
	tx.settle()
	if err := tx.Standing(); err != nil {
		return err
	}
	tx.raw.state.Store(ending)
	err := tx.wait.Retry(ctx, func() error {
		_, err := tx.conn.ExecContext(context.Background(), "COMMIT")
		return err
	})
	if err == nil {
		tx.committed = true
		return nil
	}
	tx.Rollback()
	if isInputOutput(err) {
		return fmt.Errorf("%w: %w", ErrCommitUnknown, err)
	}
	return err
}

// Rollback undoes the transaction, if there still is one. Release must follow.
func (tx *Tx) Rollback() {
	tx.settle()
	if tx.books != nil && !tx.committed { // a caller's statement may have changed the schema, which SQLite reads anew then
		tx.raw.accepted = false
	}
	if tx.raw.AutoCommit() {
		return
	}
	tx.raw.state.Store(ending)
	if _, err := tx.conn.ExecContext(context.Background(), "ROLLBACK"); err != nil && !tx.raw.AutoCommit() {
		// A connection that cannot even roll back must not serve anybody else; closing it ends the transaction.
		_ = tx.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
}

// Release gives the connection back.
func (tx *Tx) Release() {
	tx.raw.state.Store(outside)
	if tx.giveBack != nil {
		tx.giveBack()
		return
	}
	_ = tx.conn.Close()
}

// Migrate runs f, whose statements may not begin, end or leave the transaction, and change nothing of what is Settings.Guarded or
// Private (IsNotAuthorized).
func (tx *Tx) Migrate(f func() error) error {
	return tx.raw.with(rights{migrating: true}, f)
}

// Altered returns the tables that the statements of Migrate made, dropped or altered, in lowercase. One that was renamed is there with
// the name that it had.
func (tx *Tx) Altered() []string { return slices.Sorted(maps.Keys(tx.raw.altered)) }

// MigrateCore runs f, whose statements are this module's own and may do everything.
func (tx *Tx) MigrateCore(f func() error) error {
	return tx.raw.with(rights{everything: true}, f)
}

// SetApplicationID marks the file, when the transaction commits.
func (tx *Tx) SetApplicationID(id int32) error {
	return asOurselves(tx.conn, func() error {
		_, err := tx.conn.ExecContext(context.Background(), fmt.Sprintf("PRAGMA application_id = %d", id))
		return err
	})
}
