package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/db"
)

// lookLength is how long a row may be that a look reads, and a text that it computes, in bytes: longer than any definition of a table.
// What somebody blew up to gigabytes costs nothing (IsTooBig).
const lookLength = 1 << 20

// ErrUnreadable is what Look returns for a database whose schema SQLite does not take, or whose text is not UTF-8.
var ErrUnreadable = errors.New("its schema cannot be read, or its text is not UTF-8")

// Looking is a database that is looked at. Tables are found by their names, since nothing else is there.
type Looking struct {
	*sql.Conn
}

// Look opens the file for reading, changing nothing in it, and calls inspect in a transaction: on one snapshot. Rows of more than 1 MiB
// cannot be read (IsTooBig), unless inspect calls LiftLimit. With mayRecover, a journal that a crash left behind is played back first,
// as any connection that may write would do. It waits for locks as w says, and ends with ctx.
//
// The file is attached to a database in memory, since it is not known yet what it does to whoever opens it. SQLite reads the schema of
// the file that it opens at once, before anybody could limit what that takes, or stop it: generated columns in its own statistics, for
// example, are code that runs then. Attaching is a statement, with limits and a context.
func Look(ctx context.Context, l Location, w Wait, mayRecover bool, inspect func(*Looking) error) error {
	// SQLite takes a file of one byte for an empty one (unixFileSize), and would write a database over it.
	if info, err := os.Lstat(l.path); err == nil && info.Size() == 1 {
		return fmt.Errorf("a file of one byte: %w", sqlite3.Error{Code: sqlite3.ErrNotADB})
	}
	err := look(ctx, l, w, "ro", inspect)
	if mayRecover && needsRecovery(err) {
		err = look(ctx, l, w, "rw", inspect)
	}
	return err
}

// QueryContext implements db.DBTX.
func (c *Looking) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return c.Conn.QueryContext(ctx, qualified.Replace(query), args...)
}

// QueryRowContext implements db.DBTX.
func (c *Looking) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return c.Conn.QueryRowContext(ctx, qualified.Replace(query), args...)
}

// LiftLimit lets a look read rows of any length from now on.
func (c *Looking) LiftLimit() error { return c.limit(math.MaxInt32) }

func (c *Looking) limit(length int) error {
	return c.Raw(func(raw any) error {
		raw.(*conn).SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, length)
		return nil
	})
}

func look(ctx context.Context, l Location, w Wait, mode string, inspect func(*Looking) error) error {
	memory, err := Locate(InMemory)
	if err != nil {
		return err
	}
	s := Settings{Location: memory}
	params := s.params()
	params.Set("mode", "rwc")
	pool := sql.OpenDB(s.connector(params, "PRAGMA cell_size_check = ON"))
	defer pool.Close()
	return w.Retry(ctx, func() error {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return err
		}
		defer conn.Close()
		looking := &Looking{conn}
		if err := looking.limit(lookLength); err != nil {
			return err
		}
		if err := looking.attach(ctx, l, mode); err != nil {
			return err
		}
		defer looking.detach()
		// Between two statements without it another process may migrate, and the file would look damaged.
		if _, err := conn.ExecContext(context.Background(), "BEGIN"); err != nil {
			return err
		}
		defer conn.ExecContext(context.Background(), "ROLLBACK")
		err = inspect(looking)
		if l.still != nil {
			err = errors.Join(err, l.still.check())
		}
		return err
	})
}

// attach attaches the pinned file, or returns dbfile.ErrReplaced.
func (c *Looking) attach(ctx context.Context, l Location, mode string) error {
	if err := l.check(); err != nil {
		return err
	}
	attach := func() error {
		_, err := c.ExecContext(ctx, "ATTACH ?1 AS "+lookedAt, l.uri(url.Values{"mode": {mode}, "vfs": {diskVFS()}}))
		return err
	}
	err := asOurselves(c.Conn, attach)
	if isWronglyMissing(err, l.path) {
		err = withCause(asOurselves(c.Conn, attach), Settings{Location: l}, l.path)
	}
	if hasCode(err, sqlite3.ErrError) {
		err = fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if err != nil {
		return errors.Join(err, l.check())
	}
	err = c.Raw(func(raw any) error { return l.confirm(raw.(*conn).SQLiteConn, lookedAt) })
	if err != nil {
		c.detach()
	}
	return err
}

func (c *Looking) detach() {
	_ = asOurselves(c.Conn, func() error {
		_, err := c.ExecContext(context.Background(), "DETACH "+lookedAt)
		return err
	})
}

// lookedAt is the name that the file is attached under.
const lookedAt = "looked_at"

// qualified names what the database in memory has too.
var qualified = strings.NewReplacer(
	"sqlite_schema", lookedAt+".sqlite_schema", "PRAGMA application_id", "PRAGMA "+lookedAt+".application_id",
)

var _ db.DBTX = (*Looking)(nil)
