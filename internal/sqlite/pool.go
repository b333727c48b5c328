package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"net/url"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

// Settings are what the connections of a registry have in common.
type Settings struct {
	Location Location
	// RelaxedSync syncs at checkpoints only (synchronous=NORMAL): a power loss can take the newest commits back.
	RelaxedSync bool
	// Guarded are the tables whose schema the statements of callers and of sets' migrations leave as it is. Private are those whose
	// rows only Privileged statements write. (IsNotAuthorized; on the connection that writes. In lowercase.)
	Guarded, Private []string

	writes bool // the connection is to write
}

// stmtCacheSize is more than the registry's own statements; a subsystem's share the rest.
const stmtCacheSize = 128

// pageCacheKiB is how much of the file a connection keeps in memory, at most. SQLite's own 2 MiB are less than the 10,000
// encrypted entries of a usual registry.
const pageCacheKiB = 8 << 10

// roomyCacheKiB is the same for one of the connections that Readers keeps, the one that is used whenever it is free. With
// 1,000,000 entries the index of their keys alone is 30 MiB, and random reads only keep it in memory if as much of the
// values fits beside it. Many readers at once cost no multiple of it.
const roomyCacheKiB = 128 << 10

// journalSizeLimit is what a WAL that grew in one large transaction is cut back to, in bytes.
const journalSizeLimit = 64 << 20

// checkpointPages is how long the WAL may grow before a commit moves it into the file: 16 MiB. SQLite's own 1,000 pages are
// the syncs and random writes of a checkpoint every few hundred writes; what is longer holds fewer copies of the same pages
// for each.
const checkpointPages = 4000

// OpenWriter opens the one connection that writes. It creates the file if it is missing, readable by its owner only, and
// changes nothing in one that is there. It waits for locks as w says.
func OpenWriter(ctx context.Context, s Settings, w Wait) (*sql.DB, error) {
	s.writes = true
	params := s.params()
	params.Set("mode", "rw")
	params.Set("_secure_delete", "on") // what is deleted or overwritten is gone from the file, not from free pages only
	pragmas := []string{
		fmt.Sprintf("PRAGMA journal_size_limit = %d", journalSizeLimit),
		fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", checkpointPages),
	}
	if s.Location.IsMemory() {
		pragmas = append(pragmas, "PRAGMA cache_spill = OFF") // a spill would need all readers gone, before the commit does
		params.Set("mode", "rwc")
	} else if err := s.Location.create(ctx, w); err != nil {
		return nil, err
	}
	pool := sql.OpenDB(s.connector(params, pragmas...))
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	if err := w.Retry(ctx, func() error { return connect(ctx, pool) }); err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return pool, nil
}

// lookLength is how long a row may be that Look's connection reads, in bytes: longer than any definition of a table. What somebody
// blew up to gigabytes costs nothing (IsTooBig).
const lookLength = 1 << 20

// Look opens the file for reading, changing nothing in it, and calls inspect in a transaction: on one snapshot. Rows of more than 1 MiB
// cannot be read (IsTooBig), unless inspect calls LiftLimit. With mayRecover, a journal that a crash left behind is played back first,
// as any connection that may write would do. It waits for locks as w says.
func Look(ctx context.Context, l Location, w Wait, mayRecover bool, inspect func(*sql.Conn) error) error {
	// SQLite takes a file of one byte for an empty one (unixFileSize), and would write a database over it.
	if info, err := os.Stat(l.path); err == nil && info.Size() == 1 {
		return fmt.Errorf("a file of one byte: %w", sqlite3.Error{Code: sqlite3.ErrNotADB})
	}
	look := func(mode string) error {
		params := Settings{Location: l}.params()
		params.Set("mode", mode)
		connector := Settings{Location: l}.connector(params, "PRAGMA cell_size_check = ON")
		connector.longest = lookLength
		pool := sql.OpenDB(connector)
		defer pool.Close()
		return w.Retry(ctx, func() error {
			conn, err := pool.Conn(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			// Between two statements without it another process may migrate, and the file would look damaged.
			if _, err := conn.ExecContext(context.Background(), "BEGIN"); err != nil {
				return err
			}
			defer conn.ExecContext(context.Background(), "ROLLBACK")
			return inspect(conn)
		})
	}
	err := look("ro")
	if mayRecover && needsRecovery(err) {
		err = look("rw")
	}
	return err
}

// LiftLimit lets Look's connection read rows of any length.
func LiftLimit(looking *sql.Conn) error {
	return looking.Raw(func(c any) error {
		c.(*conn).SetLimit(sqlite3.SQLITE_LIMIT_LENGTH, math.MaxInt32)
		return nil
	})
}

// create makes the file, if it is missing, as SQLite makes one: empty.
func (l Location) create(ctx context.Context, w Wait) error {
	if info, err := l.Stat(); err != nil || info != nil {
		return err
	}
	template, remove, err := l.template()
	if err != nil {
		return err
	}
	defer remove()
	s := Settings{Location: l}
	params := s.params()
	params.Set("mode", "rwc")
	params.Set("modeof", template)
	pool := sql.OpenDB(s.connector(params))
	return errors.Join(w.Retry(ctx, func() error { return connect(ctx, pool) }), pool.Close())
}

// connect makes the pool open a connection.
func connect(ctx context.Context, pool *sql.DB) error {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return err
	}
	return conn.Close()
}

// params are the driver's and SQLite's, the same for every connection. Waiting is Wait's business, hence no busy timeout.
func (s Settings) params() url.Values {
	sync := "FULL"
	if s.RelaxedSync {
		sync = "NORMAL"
	}
	return url.Values{
		"_busy_timeout":    {"0"},
		"_foreign_keys":    {"1"},
		"_synchronous":     {sync},
		"_stmt_cache_size": {fmt.Sprint(stmtCacheSize)},
		"_cache_size":      {fmt.Sprint(-pageCacheKiB)},
	}
}

func (s Settings) connector(params url.Values, pragmas ...string) *connector {
	c := &connector{settings: s, pragmas: append(pragmas, "PRAGMA trusted_schema = OFF", "PRAGMA temp_store = MEMORY"), present: s.Location.path}
	if params.Get("mode") == "rwc" && !s.Location.IsMemory() {
		c.present = filepath.Dir(s.Location.path) // it is made
	}
	c.dsn = s.Location.uri(params)
	return c
}
