package sqlite

import (
	"context"
	"database/sql"
	"slices"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// Forbidden says what IsNotAuthorized is about.
const Forbidden = "transactions, attached databases, temporary objects, settings (PRAGMA), and the registry's own schema, " +
	"migrations, id and keyset are not for statements to change"

// Right is one thing that a statement of the registry's own does to a table that is Settings.Private.
type Right struct {
	action int
	table  string // in lowercase
}

// Insert returns the right to add rows to a table.
func Insert(table string) Right { return Right{sqlite3.SQLITE_INSERT, table} }

// Update returns the right to change rows of a table.
func Update(table string) Right { return Right{sqlite3.SQLITE_UPDATE, table} }

// Delete returns the right to remove rows from a table.
func Delete(table string) Right { return Right{sqlite3.SQLITE_DELETE, table} }

// Privileged runs one statement of the registry's own that needs the rights. Triggers and foreign keys that the statement sets off
// have the same rights and no others, so whoever planted one cannot borrow more.
func Privileged(c *sql.Conn, granted ...Right) db.DBTX { return privileged{c, granted} }

type privileged struct {
	*sql.Conn
	granted []Right
}

func (p privileged) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	err = withRights(p.Conn, rights{granted: p.granted}, func() error {
		result, err = p.Conn.ExecContext(ctx, query, args...)
		return err
	})
	return result, err
}

// rights says what statements may do. The zero value is that of a caller's, and of a generated query.
type rights struct {
	everything bool    // it is a statement of this package, or the core's migration
	migrating  bool    // it is a set's migration: the transaction is not its own
	granted    []Right // beyond what a caller may do
}

// asOurselves runs f with everything allowed on a connection.
func asOurselves(c *sql.Conn, f func() error) error {
	return withRights(c, rights{everything: true}, f)
}

func withRights(c *sql.Conn, r rights, f func() error) error {
	var raw *conn
	if err := c.Raw(func(dc any) error { raw = dc.(*conn); return nil }); err != nil {
		return err
	}
	return raw.with(r, f)
}

// with runs f, whose statements are compiled with the rights.
func (c *conn) with(r rights, f func() error) error {
	c.rights = r
	defer func() {
		c.rights = rights{}
		// The driver keeps compiled statements by their text, and SQLite does not ask about them again, unless the authorizer
		// was set since (sqlite3_set_authorizer expires them).
		c.RegisterAuthorizer(c.authorize)
	}()
	return f()
}

// authorize is asked about each statement that is compiled. What would outlast the statement on its connection, which
// serves others next, is refused: a temporary table with the name of a table of the file takes its place in every later
// statement, the registry's own among them; a setting may switch off what commits and guards rely on.
func (c *conn) authorize(action int, name, value, database string) int {
	if c.rights.everything || c.allows(action, name, value, database) {
		return sqlite3.SQLITE_OK
	}
	return sqlite3.SQLITE_DENY
}

func (c *conn) allows(action int, name, value, database string) bool {
	if c.rights.migrating {
		c.noteAltered(action, name, value)
	}
	switch action {
	case sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_TEMP_VIEW, sqlite3.SQLITE_CREATE_TEMP_TRIGGER,
		sqlite3.SQLITE_CREATE_TEMP_INDEX, sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH:
		return false
	case sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_VTABLE:
		return database != "temp"
	case sqlite3.SQLITE_CREATE_TRIGGER:
		return database != "temp" && !c.isGuarded(value)
	case sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_ALTER_TABLE:
		return !c.isGuarded(value)
	case sqlite3.SQLITE_DROP_TABLE:
		return !c.isGuarded(name)
	case sqlite3.SQLITE_PRAGMA:
		return mayUsePragma(name, value, c.noSetting)
	case sqlite3.SQLITE_TRANSACTION:
		// A snapshot that ended and began again would be another one, without a word: there is no hook for that.
		return !c.rights.migrating && !(c.reading.Load() && c.state.Load() == standing)
	case sqlite3.SQLITE_SAVEPOINT:
		return !c.rights.migrating
	case sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE:
		table := sqltext.Lower(name)
		return !slices.Contains(c.settings.Private, table) || slices.Contains(c.rights.granted, Right{action, table})
	}
	return true
}

// noteAltered remembers the table that a migration's statement makes, drops or alters, for Tx.Altered.
func (c *conn) noteAltered(action int, name, value string) {
	switch action {
	case sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_DROP_TABLE:
	case sqlite3.SQLITE_ALTER_TABLE:
		name = value
	default:
		return
	}
	if c.altered == nil {
		c.altered = map[string]bool{}
	}
	c.altered[sqltext.Lower(name)] = true
}

// isGuarded reports whether a table's schema stays as it is: a change may leave a registry that does not open any more, or a trigger
// that acts in its name.
func (c *conn) isGuarded(table string) bool {
	return slices.Contains(c.settings.Guarded, sqltext.Lower(table))
}
