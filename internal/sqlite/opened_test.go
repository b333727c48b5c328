package sqlite

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// openWriter opens a writer of a file, which is made if it is missing.
func openWriter(t *testing.T, path string) (close func()) {
	t.Helper()
	l, err := Locate(path)
	require.NoError(t, err)
	_, err = l.Examine()
	require.NoError(t, err)
	writer, err := OpenWriter(t.Context(), Settings{Location: l}, short)
	require.NoError(t, err)
	return func() { require.NoError(t, writer.Close()) }
}

func isOpen(t *testing.T, path string) bool {
	t.Helper()
	l, err := Locate(path)
	require.NoError(t, err)
	_, _, err = l.Find()
	require.NoError(t, err)
	return l.IsOpen()
}

func TestIsOpenCountsConnections(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	require.False(t, isOpen(t, path))
	closeFirst, closeSecond := openWriter(t, path), openWriter(t, path)
	closeOther := openWriter(t, filepath.Join(dir, "other.db"))
	defer closeOther()
	require.True(t, isOpen(t, path))
	closeFirst()
	require.True(t, isOpen(t, path))
	closeSecond()
	require.False(t, isOpen(t, path))
	require.True(t, isOpen(t, filepath.Join(dir, "other.db")))
}

// On a file system that does not tell capitals from small letters one file has many paths. Here it gets another one.
func TestIsOpenKnowsAFileByAnotherName(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be moved here")
	}
	dir := t.TempDir()
	path, other := filepath.Join(dir, "X.db"), filepath.Join(dir, "also x.db")
	closeWriter := openWriter(t, path)
	require.NoError(t, os.Rename(path, other))
	require.True(t, isOpen(t, other))
	require.True(t, isOpen(t, path), "its WAL may lie there")
	require.NoError(t, os.Rename(other, path))
	require.False(t, isOpen(t, other))
	closeWriter()
	require.False(t, isOpen(t, path))
}
