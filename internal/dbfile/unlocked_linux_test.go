package dbfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A FILE-shm on which somebody holds a lock is that of a live database, whose file was moved away.
func TestASharedMemoryInUseTakesAName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	put(t, path+"-wal", "")
	put(t, path+"-shm", "left behind")
	require.NoError(t, CheckFree(path))

	f, err := os.OpenFile(path+"-shm", os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	held := syscall.Flock_t{Type: syscall.F_RDLCK, Start: 128, Len: 1} // as each connection in WAL mode holds it
	require.NoError(t, syscall.FcntlFlock(f.Fd(), syscall.F_SETLK, &held))
	require.ErrorIs(t, CheckFree(path), fs.ErrExist)
	require.NoError(t, f.Close())
	require.NoError(t, CheckFree(path))
}
