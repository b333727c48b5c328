package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
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
	alone  bool // it is Exclude's
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

// OpenWriter opens the one connection that writes. It creates the file if Examine found none, readable by its owner only, and
// changes nothing in one that is there. It waits for locks as w says. It returns dbfile.ErrReplaced if what is there now is
// not what Examine found.
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
