package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// computing makes a database whose statistics, which SQLite reads with the schema, compute text of so many bytes in each of their rows.
func computing(t *testing.T, bytes, rows int) Location {
	path := filepath.Join(t.TempDir(), "x.db")
	pool, err := sql.Open("sqlite3", path)
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	for _, statement := range []string{
		"CREATE TABLE config (key TEXT PRIMARY KEY)",
		"CREATE TABLE mine (tbl, idx)",
		"INSERT INTO mine WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " + fmt.Sprint(rows) +
			") SELECT 'config', 'sqlite_autoindex_config_1' FROM n",
		"PRAGMA writable_schema = ON",
		fmt.Sprintf("UPDATE sqlite_schema SET name = 'sqlite_stat1', tbl_name = 'sqlite_stat1', "+
			"sql = 'CREATE TABLE sqlite_stat1 (tbl, idx, stat AS (replace(hex(zeroblob(%d)), ''0'', ''12'')))' WHERE name = 'mine'", bytes/4),
	} {
		_, err := pool.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, pool.Close())
	location, err := Locate(path)
	require.NoError(t, err)
	return location
}

// lookIntoCatalog does what an inspection does first.
func lookIntoCatalog(ctx context.Context, l Location) error {
	_, err := Look(ctx, l, short, false, func(ctx context.Context, c *Looking) (tables int, err error) {
		return tables, c.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&tables)
	})
	return err
}

func inspectNothing(context.Context, *Looking) (int, error) { return 0, nil }

func TestALookEndsWithItsContextAndLeavesNothingBehind(t *testing.T) {
	location := computing(t, 1<<16, 1_000_000)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, lookIntoCatalog(ctx, location), context.DeadlineExceeded)
	for give := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(give), "SQLite is still at it")
	}
}

// A function that takes long cannot be stopped. It is left alone, and who looks next waits for it no longer than it wants.
func TestALookDoesNotWaitForWhatDoesNotEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	pool, err := sql.Open("sqlite3", path)
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	const quadratic = "trim(hex(zeroblob(5000)), replace(hex(zeroblob(5000)), ''0'', ''1'') || ''0'')"
	for _, statement := range []string{
		"CREATE TABLE mine (tbl, idx)", "INSERT INTO mine VALUES ('x', 'y')", "PRAGMA writable_schema = ON",
		"UPDATE sqlite_schema SET name = 'sqlite_stat1', tbl_name = 'sqlite_stat1', sql = 'CREATE TABLE sqlite_stat1 (tbl, idx, " +
			"stat AS (" + quadratic + strings.Repeat(" || "+quadratic, 9) + "))' WHERE name = 'mine'",
	} {
		_, err := pool.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, pool.Close())
	location, err := Locate(path)
	require.NoError(t, err)
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		require.ErrorIs(t, lookIntoCatalog(ctx, location), context.DeadlineExceeded)
		_, busy := paths.Load(location.path)
		require.True(t, busy, "SQLite is still at it")
	}
	leave, err := enterPath(t.Context(), location.path) // when it has ended
	require.NoError(t, err)
	leave()
}

func TestALookComputesNoLongText(t *testing.T) {
	status := func() (peak int) {
		text, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Skip("there is no /proc that tells the peak of a process's memory")
		}
		_, line, _ := strings.Cut(string(text), "VmHWM:")
		_, err = fmt.Sscan(line, &peak)
		require.NoError(t, err)
		return peak
	}
	location := computing(t, 1_600_000_000, 1)
	before := status()
	_ = lookIntoCatalog(t.Context(), location)
	require.Less(t, status()-before, 256<<10, "KiB")
}

func TestALookKnowsTheFileByItsNamesOnly(t *testing.T) {
	location := computing(t, 4, 1)
	entries, err := Look(t.Context(), location, short, false, func(ctx context.Context, c *Looking) (entries int, err error) {
		var names []string
		rows, err := c.QueryContext(ctx, "SELECT sqlite_schema.name FROM sqlite_schema ORDER BY sqlite_schema.name")
		require.NoError(t, err)
		for rows.Next() {
			var name string
			require.NoError(t, rows.Scan(&name))
			names = append(names, name)
		}
		require.NoError(t, rows.Err())
		require.Equal(t, []string{"config", "sqlite_autoindex_config_1", "sqlite_stat1"}, names)
		require.NoError(t, rows.Close())
		return entries, c.QueryRowContext(ctx, "SELECT count(*) FROM config").Scan(&entries)
	})
	require.NoError(t, err)
	require.Zero(t, entries)
}
