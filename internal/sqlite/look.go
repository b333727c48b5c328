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
	"sync"
	"time"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/db"
)

// What a look may take. Whatever is in the file, opening it ends, and takes little.
const (
	// lookLength is how long a row may be, the text of a definition, and a text that is computed, in bytes. MaxDefinition fits.
	lookLength = 128 << 10
	// lookTime is how long reading a schema may take. 20,000 views take a second; pages that name each other many times take for ever.
	lookTime = 30 * time.Second
)

// MaxDefinition is the longest definition of a table, an index or a trigger that a registry may hold, in bytes.
const MaxDefinition = 64 << 10

// ErrUnreadable is what Look returns for a database whose schema SQLite does not take or does not finish, or whose text is not UTF-8.
var ErrUnreadable = errors.New("its schema cannot be read")

// ErrOversized is what Look returns for a database whose schema has a text that is longer than a registry's may be.
var ErrOversized = errors.New("its schema is too large")

// Looking is a database that is looked at. Tables are found by their names, since nothing else is there.
type Looking struct {
	*sql.Conn
	accepted func()
}

// Look opens the file for reading, changing nothing in it, and returns what inspect does, which it calls in a transaction: on one
// snapshot. Rows of more than 128 KiB cannot be read (IsTooBig), until inspect calls Accept. With mayRecover, a journal that a crash
// left behind is played back first, as any connection that may write would do. It waits for locks as w says.
//
// It returns when ctx ends, also if SQLite does not listen, and ErrUnreadable if inspect has not called Accept within half a minute.
// What does not end by itself is left to a goroutine, of which there is one at a time for a path: so inspect must change nothing of
// its caller's.
//
// The file is attached to a database in memory, since it is not known yet what it does to whoever opens it. SQLite reads the schema of
// the file that it opens at once, before anybody could limit what that takes, or stop it: generated columns in its own statistics, for
// example, are code that runs then. Attaching is a statement, with limits and a context.
func Look[T any](
	ctx context.Context, l Location, w Wait, mayRecover bool, inspect func(context.Context, *Looking) (T, error),
) (found T, err error) {
	// SQLite takes a file of one byte for an empty one (unixFileSize), and would write a database over it.
	if info, err := os.Lstat(l.path); err == nil && info.Size() == 1 {
		return found, fmt.Errorf("a file of one byte: %w", sqlite3.Error{Code: sqlite3.ErrNotADB})
	}
	w = w.Start()
	look := func(mode string) error {
		return w.Retry(ctx, func() (err error) {
			found, err = lookOnce(ctx, l, w, mode, inspect)
			return err
		})
	}
	err = look("ro")
	if mayRecover && needsRecovery(err) {
		err = look("rw")
	}
	return found, err
}

// minTurn is how long a look waits for another one of the same path, at least: there may be one at any time, and it takes a moment.
const minTurn = time.Second

func lookOnce[T any](
	ctx context.Context, l Location, w Wait, mode string, inspect func(context.Context, *Looking) (T, error),
) (none T, err error) {
	turn, cancelTurn := context.WithTimeout(ctx, max(w.Left(), minTurn))
	leave, err := enterPath(turn, l.path)
	cancelTurn()
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("another opening of the same file is still reading it: %w", sqlite3.Error{Code: sqlite3.ErrBusy})
	}
	if err != nil {
		return none, err
	}
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(lookTime, func() { cancel(fmt.Errorf("%w: it took more than %s", ErrUnreadable, lookTime)) })
	defer timer.Stop()
	found, err := abandonable(limited, func() (found T, err error) {
		defer leave()
		err = attached(limited, l, mode, func(c *Looking) error {
			c.accepted = func() {
				timer.Stop()
				leave()
			}
			found, err = inspect(limited, c)
			return err
		})
		return found, err
	}, func(T, error) {})
	if cause := context.Cause(limited); err != nil && ctx.Err() == nil && cause != nil {
		err = cause
	}
	return found, err
}

// attached calls f while the file is attached.
func attached(ctx context.Context, l Location, mode string, f func(*Looking) error) error {
	memory, err := Locate(InMemory)
	if err != nil {
		return err
	}
	s := Settings{Location: memory}
	params := s.params()
	params.Set("mode", "rwc")
	pool := sql.OpenDB(s.connector(params, "PRAGMA cell_size_check = ON"))
	defer pool.Close()
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	looking := &Looking{Conn: conn}
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
	err = f(looking)
	if l.still != nil {
		err = errors.Join(err, l.still.check())
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

// Accept says that the schema is one of a registry's: from now on rows may be of any length, and reading takes as long as it takes.
func (c *Looking) Accept() error {
	c.accepted()
	return c.limit(math.MaxInt32)
}

func (c *Looking) limit(length int) error {
	return c.Raw(func(raw any) error {
		raw.(*conn).SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, length)
		return nil
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
	switch {
	case hasCode(err, sqlite3.ErrError):
		err = fmt.Errorf("%w, or its text is not UTF-8: %w", ErrUnreadable, err)
	case IsTooBig(err):
		err = fmt.Errorf("%w: a definition of more than %d bytes", ErrOversized, lookLength)
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

// paths has a token for each path that somebody looks at. It belongs to the process, since a look that does not end outlives the Open
// that began it.
var paths sync.Map // string -> chan struct{}

// enterPath waits for the token of a path. leave gives it back; called again it does nothing.
func enterPath(ctx context.Context, path string) (leave func(), err error) {
	for {
		mine := make(chan struct{})
		other, taken := paths.LoadOrStore(path, mine)
		if !taken {
			return sync.OnceFunc(func() {
				paths.Delete(path)
				close(mine)
			}), nil
		}
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// lookedAt is the name that the file is attached under.
const lookedAt = "looked_at"

// qualified names what the database in memory has too.
var qualified = strings.NewReplacer(
	"sqlite_schema", lookedAt+".sqlite_schema", "PRAGMA application_id", "PRAGMA "+lookedAt+".application_id",
)

var _ db.DBTX = (*Looking)(nil)
