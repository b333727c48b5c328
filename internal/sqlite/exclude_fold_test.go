package sqlite

import (
	"database/sql"
	"testing"

	"github.com/stretchr/testify/require"
)

// A checkpoint that leaves commits in the WAL is reported in a row, not as an error. Who moves the file away would lose them.
func TestFoldFailsIfCommitsAreLeftInTheWAL(t *testing.T) {
	l := located(t, "WAL")
	readers, err := sql.Open("sqlite3", "file:"+l.path)
	require.NoError(t, err)
	defer readers.Close()
	reader, err := readers.Conn(t.Context())
	require.NoError(t, err)
	defer reader.Close()
	for _, statement := range []string{"BEGIN", "SELECT * FROM t"} {
		_, err = reader.ExecContext(t.Context(), statement)
		require.NoError(t, err)
	}
	pool, err := OpenWriter(t.Context(), Settings{Location: l}, short)
	require.NoError(t, err)
	defer pool.Close()
	writer, err := pool.Conn(t.Context())
	require.NoError(t, err)
	defer writer.Close()
	_, err = writer.ExecContext(t.Context(), "INSERT INTO t VALUES (2)")
	require.NoError(t, err)

	e := &Exclusion{location: l, pool: pool, conn: writer} // which did not exclude the reader
	err = e.Fold()
	require.Error(t, err)
	require.True(t, IsBusy(err), "%v", err)
	size, err := l.WALSize()
	require.NoError(t, err)
	require.NotZero(t, size)

	_, err = reader.ExecContext(t.Context(), "COMMIT")
	require.NoError(t, err)
	require.NoError(t, e.Fold())
	size, err = l.WALSize()
	require.NoError(t, err)
	require.Zero(t, size)
}
