package dbfile

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestInUseNamesWhoHasTheFileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	require.Empty(t, InUse(path, false), "there is nothing")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		put(t, path+suffix, "x")
	}
	require.Empty(t, InUse(path, false))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		f, err := os.Open(path + suffix)
		require.NoError(t, err)
		require.Contains(t, InUse(path, false), fmt.Sprint("process ", os.Getpid(), " "), suffix)
		require.Empty(t, InUse(path, true), suffix)
		require.NoError(t, f.Close())
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Len: 1}))
	require.NotEmpty(t, InUse(path, false))
	require.Empty(t, InUse(path, true), "the lock is this process's own")
	require.NoError(t, os.Rename(path, path+".moved"))
	put(t, path, "another")
	require.Empty(t, InUse(path, false), "it is another file")
}

func TestInUseNamesAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	made, _, kill := maker(t, dir) // which has the file open
	require.Contains(t, InUse(made, true), "process ")
	kill()
	require.Empty(t, InUse(made, true))
}
