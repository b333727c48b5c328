package dbfile

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func inUse(t *testing.T, path string, alone bool) (who string) {
	t.Helper()
	who, err := InUse(path, alone)
	require.NoError(t, err)
	return who
}

func TestInUseNamesWhoHasTheFileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	require.Empty(t, inUse(t, path, false), "there is nothing")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		put(t, path+suffix, "x")
	}
	require.Empty(t, inUse(t, path, false))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		f, err := os.Open(path + suffix)
		require.NoError(t, err)
		require.Contains(t, inUse(t, path, false), fmt.Sprint("process ", os.Getpid(), " "), suffix)
		require.Empty(t, inUse(t, path, true), suffix)
		require.NoError(t, f.Close())
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &syscall.Flock_t{Type: syscall.F_WRLCK, Len: 1}))
	require.NotEmpty(t, inUse(t, path, false))
	require.Empty(t, inUse(t, path, true), "the lock is this process's own")
	require.NoError(t, os.Rename(path, path+".moved"))
	put(t, path, "another")
	require.Empty(t, inUse(t, path, false), "it is another file")
}

func TestInUseNamesAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	made, _, kill := maker(t, dir) // which has the file open
	require.Contains(t, inUse(t, made, true), "process ")
	kill()
	require.Empty(t, inUse(t, made, true))
}

// A look that fails, such as for want of a descriptor, is no answer.
func TestInUseFailsIfItCannotLook(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	put(t, path, "x")
	var old syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &old))
	next, err := os.Open(path)
	require.NoError(t, err)
	low := syscall.Rlimit{Cur: uint64(next.Fd()), Max: old.Max} // the lowest number that is free
	require.NoError(t, next.Close())
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low))
	who, err := InUse(path, false)
	require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &old))
	require.ErrorIs(t, err, syscall.EMFILE)
	require.ErrorContains(t, err, path)
	require.Empty(t, who)
	require.Empty(t, inUse(t, path, false))

	_, err = hasOpen(path, "x.db", nil)
	require.ErrorIs(t, err, syscall.ENOTDIR)
	require.False(t, isPrivate(err))
	_, err = hasOpen("/proc/self/nothing", "x.db", nil)
	require.True(t, isPrivate(err), "a process that has ended: %v", err)
}
