package dbfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMountedFileIsUnfitAndAMountedFolderIsNot(t *testing.T) {
	dir := t.TempDir()
	host, container := filepath.Join(dir, "host"), filepath.Join(dir, "container")
	require.NoError(t, os.Mkdir(host, 0o700))
	require.NoError(t, os.Mkdir(container, 0o700))
	put(t, filepath.Join(host, "x.db"), "x")
	put(t, filepath.Join(container, "x.db"), "")
	mount := func(what string) func() {
		target := filepath.Join(container, what)
		if err := syscall.Mount(filepath.Join(host, what), target, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("mounting needs root: %v", err)
		}
		return func() { require.NoError(t, syscall.Unmount(target, syscall.MNT_DETACH)) }
	}
	unmount := mount("x.db")
	_, err := Examine(filepath.Join(container, "x.db"))
	unmount()
	require.ErrorIs(t, err, ErrUnfit)
	require.ErrorContains(t, err, "mount the folder")

	unmount = mount("")
	_, err = Examine(filepath.Join(container, "x.db"))
	unmount()
	require.NoError(t, err)
}
