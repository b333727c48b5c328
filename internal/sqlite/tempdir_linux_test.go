package sqlite

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A job that puts aside more than its page cache holds does so beside the database, and not where TMPDIR says.
func TestTemporaryFilesLieBesideTheDatabase(t *testing.T) {
	elsewhere := t.TempDir()
	t.Setenv("TMPDIR", elsewhere)
	t.Setenv("SQLITE_TMPDIR", elsewhere)
	dir := t.TempDir()
	location, err := Locate(filepath.Join(dir, "a.db"))
	require.NoError(t, err)
	writer, err := OpenWriter(t.Context(), Settings{Location: location}, short)
	require.NoError(t, err)
	defer func() { require.NoError(t, writer.Close()) }()
	require.NoError(t, UseWAL(t.Context(), writer, location, short))
	_, err = writer.ExecContext(t.Context(), `CREATE TABLE t (a);
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 48) INSERT INTO t SELECT randomblob(1 << 20) FROM n`)
	require.NoError(t, err)

	found := unnamedFilesDuring(t, func() error {
		_, err := Vacuum(t.Context(), writer, location, short)
		return err
	})
	require.NotEmpty(t, found)
	for _, name := range found {
		require.Equal(t, dir, filepath.Dir(name), "all of %v", found)
	}

	found = unnamedFilesDuring(t, func() error {
		_, err := writer.ExecContext(t.Context(), "UPDATE t SET a = randomblob(1 << 20)") // a journal of the statement
		return err
	})
	require.Empty(t, found, "what is no large job stays in memory")
	require.Nil(t, tempDirectory(), "SQLite's variable is as it was")
}

// unnamedFilesDuring runs f, and lists the files without a name that this process opened meanwhile.
func unnamedFilesDuring(t *testing.T, f func() error) (found []string) {
	t.Helper()
	done := make(chan error)
	go func() { done <- f() }()
	seen := map[string]bool{}
	for {
		select {
		case err := <-done:
			require.NoError(t, err)
			return found
		default:
		}
		descriptors, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		for _, d := range descriptors {
			name, err := os.Readlink("/proc/self/fd/" + d.Name())
			if name, unnamed := strings.CutSuffix(name, " (deleted)"); err == nil && unnamed && !seen[name] {
				seen[name] = true
				found = append(found, name)
			}
		}
	}
}

func TestJobsWithTemporaryFilesTakeTurns(t *testing.T) {
	writers := map[string]*sql.DB{}
	locations := map[string]Location{}
	for _, name := range []string{"a", "b"} {
		location, err := Locate(filepath.Join(t.TempDir(), name))
		require.NoError(t, err)
		writers[name], err = OpenWriter(t.Context(), Settings{Location: location}, short)
		require.NoError(t, err)
		defer writers[name].Close()
		locations[name] = location
	}
	err := WithTempFiles(t.Context(), writers["a"], locations["a"], short, func() error {
		require.NotNil(t, tempDirectory())
		err := WithTempFiles(t.Context(), writers["b"], locations["b"], short, func() error { return nil })
		require.True(t, IsBusy(err), "%v", err)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		err = WithTempFiles(ended, writers["b"], locations["b"], Wait{Limit: 1 << 40}, func() error { return nil })
		require.ErrorIs(t, err, context.Canceled)
		return nil
	})
	require.NoError(t, err)
	ran := false
	require.NoError(t, WithTempFiles(t.Context(), writers["b"], locations["b"], Wait{}, func() error { ran = true; return nil }))
	require.True(t, ran)
	require.Nil(t, tempDirectory())
	require.Panics(t, func() {
		_ = WithTempFiles(t.Context(), writers["b"], locations["b"], Wait{}, func() error { panic("f") })
	})
	require.Nil(t, tempDirectory())
}
