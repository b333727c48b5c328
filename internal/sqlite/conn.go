package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/db"
)

// conn is the driver's connection, and knows of the Tx that is on it.
type conn struct {
	*sqlite3.SQLiteConn
	settings Settings
	state    atomic.Int32
	reading  atomic.Bool  // the Tx is BeginRead's
	asking   atomic.Int32 // whose statements are compiled
}

// The states of a conn.
const (
	outside  int32 = iota // there is no Tx on it
	standing              // nothing but the Tx's own Commit and Rollback may end the transaction
	ending                // they do
	over                  // something else ended the Tx's transaction, even if another one was begun since
)

// Whose statements a conn compiles, which says what they may do.
const (
	anybody   int32 = iota // a caller, or a generated query
	migration              // a migration: the transaction is not its own
	ourselves              // this package: everything
)

var (
	_ driver.ConnBeginTx = (*conn)(nil)
	_ driver.Validator   = (*conn)(nil)
)

// newConn sets the hooks that hold a Tx together. A caller's statement may end the transaction: it says so (COMMIT,
// ROLLBACK), or its context interrupts it. What follows it, in the same text or from a prepared statement, would be
// committed by itself, so the first hook turns each commit that is not Tx.Commit's into a rollback. The second notices
// that the transaction ended, which the connection alone does not show where the same text began another.
func newConn(raw *sqlite3.SQLiteConn, s Settings) *conn {
	c := &conn{SQLiteConn: raw, settings: s}
	raw.RegisterCommitHook(func() int {
		switch c.state.Load() {
		case standing, over:
			return 1
		}
		return 0
	})
	raw.RegisterAuthorizer(c.authorize)
	raw.RegisterRollbackHook(func() { c.state.CompareAndSwap(standing, over) })
	return c
}

// Forbidden says what IsNotAuthorized is about.
const Forbidden = "transactions, attached databases, temporary objects, settings (PRAGMA), and the registry's own schema, " +
	"migrations and keyset are not for statements to change"

// authorize is asked about each statement that is compiled. What would outlast the statement on its connection, which
// serves others next, is refused: a temporary table with the name of a table of the file takes its place in every later
// statement, the registry's own among them; a setting may switch off what commits and guards rely on.
func (c *conn) authorize(action int, name, value, database string) int {
	asking := c.asking.Load()
	if asking == ourselves {
		return sqlite3.SQLITE_OK
	}
	refused := false
	switch action {
	case sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_TEMP_VIEW, sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
		sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH:
		refused = true
	case sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_CREATE_VTABLE:
		refused = database == "temp"
	case sqlite3.SQLITE_PRAGMA:
		refused = value != "" && !slices.Contains(harmlessPragmas, strings.ToLower(name))
	case sqlite3.SQLITE_TRANSACTION:
		// A snapshot that ended and began again would be another one, without a word: there is no hook for that.
		refused = asking == migration || c.reading.Load() && c.state.Load() == standing
	case sqlite3.SQLITE_SAVEPOINT:
		refused = asking == migration
	}
	if refused || asking == anybody && c.isOfGuardedSchema(action, name, value) || c.isOfPrivateRows(action, name) {
		return sqlite3.SQLITE_DENY
	}
	return sqlite3.SQLITE_OK
}

// isOfGuardedSchema reports whether an action may leave a registry that does not open any more, or a trigger that acts in its
// name. (Migrations are looked at when they have run, and may add an index.)
func (c *conn) isOfGuardedSchema(action int, name, value string) bool {
	switch action {
	case sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_DROP_INDEX,
		sqlite3.SQLITE_ALTER_TABLE:
		return slices.Contains(c.settings.Guarded, strings.ToLower(value))
	case sqlite3.SQLITE_DROP_TABLE:
		return slices.Contains(c.settings.Guarded, strings.ToLower(name))
	}
	return false
}

// isOfPrivateRows reports whether an action writes rows that are nobody else's.
func (c *conn) isOfPrivateRows(action int, table string) bool {
	switch action {
	case sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE:
		return slices.Contains(c.settings.Private, strings.ToLower(table))
	}
	return false
}

// harmlessPragmas take a value that is no setting, or one that ends with the transaction.
var harmlessPragmas = []string{
	"defer_foreign_keys", "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo", "integrity_check",
	"quick_check", "table_info", "table_list", "table_xinfo", "user_version",
}

// asOurselves runs f with everything allowed on a connection.
func asOurselves(c *sql.Conn, f func() error) error {
	var raw *conn
	if err := c.Raw(func(dc any) error { raw = dc.(*conn); return nil }); err != nil {
		return err
	}
	return raw.as(ourselves, f)
}

// as runs f, whose statements are compiled for who is asking.
func (c *conn) as(asking int32, f func() error) error {
	c.asking.Store(asking)
	defer func() {
		c.asking.Store(anybody)
		// The driver keeps compiled statements by their text, and SQLite does not ask about them again, unless the authorizer
		// was set since (sqlite3_set_authorizer expires them).
		c.RegisterAuthorizer(c.authorize)
	}()
	return f()
}

// Privileged runs the registry's own statements that write to tables that are Settings.Private.
func Privileged(c *sql.Conn) db.DBTX { return privileged{c} }

type privileged struct{ *sql.Conn }

func (p privileged) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = asOurselves(p.Conn, func() error {
		result, err = p.Conn.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// BeginTx implements driver.ConnBeginTx for Tx.SQL: the transaction is there already, and ends by Tx's own statements.
func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return books{}, nil }

// IsValid implements driver.Validator. A connection that comes back with a transaction, which a caller's statement
// began, is not given to anybody else: its snapshot would stay as it is for ever.
func (c *conn) IsValid() bool { return c.AutoCommit() }

// books is a driver.Tx that leaves the transaction alone.
type books struct{}

func (books) Commit() error   { return nil }
func (books) Rollback() error { return nil }
