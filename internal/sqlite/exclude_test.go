package sqlite

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// located makes a database with a table t(a) that has one row, in the journal mode, and returns it as for a restore.
func located(t *testing.T, mode string) Location {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.db")
	exec(t, path, "PRAGMA journal_mode = "+mode, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
	l, err := Locate(path)
	require.NoError(t, err)
	l = l.ForRestore()
	file, _, err := l.Find()
	require.NoError(t, err)
	require.NotNil(t, file)
	return l
}

// exec runs statements as another program would.
func exec(t *testing.T, path string, statements ...string) {
	t.Helper()
	pool, err := sql.Open("sqlite3", "file:"+path)
	require.NoError(t, err)
	pool.SetMaxOpenConns(1)
	for _, statement := range statements {
		_, err := pool.Exec(statement)
		require.NoError(t, err, statement)
	}
	require.NoError(t, pool.Close())
}

func TestAnExclusionNeedsToBeAlone(t *testing.T) {
	for _, c := range []struct {
		name, mode string
		open       func(l Location) (close func() error)
		busy       bool
	}{
		{"nobody, WAL", "WAL", func(Location) func() error { return func() error { return nil } }, false},
		{"nobody, rollback journal", "DELETE", func(Location) func() error { return func() error { return nil } }, false},
		{"a reader that does nothing, WAL", "WAL", func(l Location) func() error {
			r := OpenReaders(Settings{Location: l}, short)
			require.NoError(t, r.Warm(t.Context()))
			return r.Close
		}, true},
		{"a writer that does nothing, WAL", "WAL", func(l Location) func() error {
			writer, err := OpenWriter(t.Context(), Settings{Location: l}, short)
			require.NoError(t, err)
			return writer.Close
		}, true},
		{"a reader that reads, rollback journal", "DELETE", func(l Location) func() error {
			r := OpenReaders(Settings{Location: l}, short)
			tx, err := r.BeginRead(t.Context(), short)
			require.NoError(t, err)
			var n int
			require.NoError(t, tx.Conn().QueryRowContext(t.Context(), "SELECT a FROM t").Scan(&n))
			return func() error { tx.Rollback(); tx.Release(); return r.Close() }
		}, true},
		{"another exclusion", "WAL", func(l Location) func() error {
			e, err := Exclude(t.Context(), l, short)
			require.NoError(t, err)
			return e.Close
		}, true},
	} {
		l := located(t, c.mode)
		done := c.open(l)
		e, err := Exclude(t.Context(), l, short)
		if c.busy {
			require.True(t, IsBusy(err), "%s: %v", c.name, err)
			require.NoError(t, done())
			e, err = Exclude(t.Context(), l, short)
		}
		require.NoError(t, err, c.name)
		_, err = OpenWriter(t.Context(), Settings{Location: l}, Wait{})
		require.True(t, IsBusy(err), "%s: %v", c.name, err)
		require.NoError(t, e.Close())
		exec(t, l.path, "INSERT INTO t VALUES (2)")
	}
}

// A crash left commits in the WAL. They are in the file when it is renamed, and nothing is left beside it.
func TestAnExclusionFoldsTheWAL(t *testing.T) {
	crashed := located(t, "WAL")
	writer, err := OpenWriter(t.Context(), Settings{Location: crashed}, short)
	require.NoError(t, err)
	_, err = writer.Exec("INSERT INTO t VALUES (2), (3)")
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "x.db")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		data, err := os.ReadFile(crashed.path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+suffix, data, 0o600))
	}
	require.NoError(t, writer.Close())

	l, err := Locate(path)
	require.NoError(t, err)
	l = l.ForRestore()
	_, journals, err := l.Find()
	require.NoError(t, err)
	require.Equal(t, []string{l.path + "-wal"}, journals)
	e, err := Exclude(t.Context(), l, short)
	require.NoError(t, err)
	require.NoError(t, e.Fold())
	size, err := l.WALSize()
	require.NoError(t, err)
	require.Zero(t, size)
	require.NoError(t, os.Rename(path, path+".kept"))
	require.NoError(t, os.WriteFile(path+"-shm", nil, 0o600)) // of whoever came next
	require.NoError(t, e.Close())
	require.FileExists(t, path+"-shm")
	var n int
	reader, err := sql.Open("sqlite3", "file:"+path+".kept")
	require.NoError(t, err)
	defer reader.Close()
	require.NoError(t, reader.QueryRow("SELECT count(*) FROM t").Scan(&n))
	require.Equal(t, 3, n)
}

// A connection that was opened, and waited, while the file got another name: the first transaction that would write to it is refused.
func TestAWriterThatWaitedWhileTheFileWasReplacedWritesNothing(t *testing.T) {
	for _, mode := range []string{"DELETE", "WAL"} {
		l := located(t, mode)
		writer, err := OpenWriter(t.Context(), Settings{Location: l}, short)
		require.NoError(t, err)
		require.NoError(t, os.Rename(l.path, l.path+".kept"))
		exec(t, l.path, "CREATE TABLE t (a)")
		before, err := os.ReadFile(l.path + ".kept")
		require.NoError(t, err)
		_, err = BeginWrite(t.Context(), writer, short)
		require.ErrorIs(t, err, dbfile.ErrReplaced, mode)
		require.NoError(t, writer.Close())
		after, err := os.ReadFile(l.path + ".kept")
		require.NoError(t, err)
		require.Equal(t, before, after, mode)
	}
}

func TestConnectionsOfThisProcessAreCounted(t *testing.T) {
	l := located(t, "DELETE")
	require.False(t, l.IsOpen())
	writer, err := OpenWriter(t.Context(), Settings{Location: l}, short)
	require.NoError(t, err)
	require.True(t, l.IsOpen())
	readers := OpenReaders(Settings{Location: l}, short)
	require.NoError(t, readers.Warm(t.Context()))
	require.NoError(t, writer.Close())
	require.True(t, l.IsOpen())
	require.NoError(t, readers.Close())
	require.False(t, l.IsOpen())

	missing, err := Locate(filepath.Join(t.TempDir(), "x.db"))
	if err == nil {
		readers = OpenReaders(Settings{Location: missing}, short)
		require.Error(t, readers.Warm(t.Context()))
		require.False(t, missing.IsOpen(), "what could not be opened")
		require.NoError(t, readers.Close())
	}
	e, err := Exclude(t.Context(), l, short)
	require.NoError(t, err)
	require.False(t, l.IsOpen(), "the restore's own")
	require.NoError(t, e.Close())
}

// A marker stops every connection but the restore's own.
func TestAMarkerStopsConnections(t *testing.T) {
	l := located(t, "WAL")
	others := l
	others.restoring = false
	readers := OpenReaders(Settings{Location: others}, short)
	require.NoError(t, readers.Warm(t.Context()))
	m, err := dbfile.PlaceMarker(l.path, []byte("restoring"))
	require.NoError(t, err)
	_, err = OpenWriter(t.Context(), Settings{Location: others}, short)
	require.ErrorIs(t, err, dbfile.ErrRestoring)
	fresh, err := Locate(l.path)
	require.NoError(t, err)
	_, err = fresh.Examine()
	require.ErrorIs(t, err, dbfile.ErrRestoring)
	require.ErrorIs(t, others.CheckMarker(), dbfile.ErrRestoring)
	writer, err := OpenWriter(t.Context(), Settings{Location: l}, short)
	require.NoError(t, err)
	require.NoError(t, writer.Close())
	require.NoError(t, m.Remove())
	require.NoError(t, others.CheckMarker())
	require.NoError(t, readers.Close())
}
