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
	settings  Settings
	state     atomic.Int32
	reading   atomic.Bool     // the Tx is BeginRead's
	rights    rights          // of the statements that are compiled next
	noSetting bool            // the text that is compiled sets no pragma
	unfit     atomic.Bool     // it should write and cannot
	proven    bool            // it can write
	altered   map[string]bool // the tables that the Tx's migrations made, dropped or altered, in lowercase
	accepted  bool            // CheckSchema accepted the schema of this version
	schema    int64
	leave     func() // gives back what Settings.enterFile counted
}

// The states of a conn.
const (
	outside  int32 = iota // there is no Tx on it
	standing              // nothing but the Tx's own Commit and Rollback may end the transaction
	ending                // they do
	over                  // something else ended the Tx's transaction, even if another one was begun since
)

var (
	_ driver.ConnBeginTx        = (*conn)(nil)
	_ driver.ConnPrepareContext = (*conn)(nil)
	_ driver.ExecerContext      = (*conn)(nil)
	_ driver.QueryerContext     = (*conn)(nil)
	_ driver.Validator          = (*conn)(nil)
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

// BeginTx implements driver.ConnBeginTx for Tx.SQL: the transaction is there already, and ends by Tx's own statements.
func (c *conn) BeginTx(context.Context, driver.TxOptions) (driver.Tx, error) { return books{}, nil }

// IsValid implements driver.Validator. A connection that comes back with a transaction, which a caller's statement
// began, is not given to anybody else: its snapshot would stay as it is for ever. Nor is one that should write and cannot.
func (c *conn) IsValid() bool { return c.AutoCommit() && !c.unfit.Load() }

// Close implements driver.Conn.
func (c *conn) Close() error {
	err := c.SQLiteConn.Close()
	c.leave()
	return err
}

// books is a driver.Tx that leaves the transaction alone.
type books struct{}

func (books) Commit() error   { return nil }
func (books) Rollback() error { return nil }
