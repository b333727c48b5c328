package sqlite

import (
	"context"
	"database/sql/driver"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"
)

// conn is the driver's connection, and knows of the Tx that is on it.
type conn struct {
	*sqlite3.SQLiteConn
	state      atomic.Int32
	restricted atomic.Bool // Tx.WithoutTransactionControl
}

// The states of a conn.
const (
	outside    int32 = iota // there is no Tx on it
	standing                // nothing but Tx.Commit may commit
	committing              // Tx.Commit does
	over                    // something else ended the Tx's transaction, even if another one was begun since
)

var (
	_ driver.ConnBeginTx = (*conn)(nil)
	_ driver.Validator   = (*conn)(nil)
)

// newConn sets the hooks that hold a Tx together. A caller's statement may end the transaction: it says so (COMMIT,
// ROLLBACK), or its context interrupts it. What follows it, in the same text or from a prepared statement, would be
// committed by itself, so the first hook turns each commit that is not Tx.Commit's into a rollback. The second notices
// that the transaction ended, which the connection alone does not show where the same text began another.
func newConn(raw *sqlite3.SQLiteConn) *conn {
	c := &conn{SQLiteConn: raw}
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

// authorize is asked about each statement that is compiled. Temporary tables, views and triggers are refused: one with
// the name of a table of the file would take its place in every later statement of this connection, the registry's own
// among them.
func (c *conn) authorize(action int, _, _, database string) int {
	switch action {
	case sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_TEMP_VIEW, sqlite3.SQLITE_CREATE_TEMP_TRIGGER:
		return sqlite3.SQLITE_DENY
	case sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_TRIGGER, sqlite3.SQLITE_CREATE_VTABLE:
		if database == "temp" {
			return sqlite3.SQLITE_DENY
		}
	case sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH:
		if c.restricted.Load() {
			return sqlite3.SQLITE_DENY
		}
	}
	return sqlite3.SQLITE_OK
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
