package tests

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// backedUp makes a registry with an entry of some size in a folder, and a backup of it elsewhere.
func backedUp(t *testing.T, dir string, size int) (path, backup string) {
	t.Helper()
	path, backup = filepath.Join(dir, "x.db"), filepath.Join(t.TempDir(), "backup.db")
	reg, err := registry.Open(t.Context(), path)
	require.NoError(t, err)
	_, err = reg.SetConfig(t.Context(), "a", strings.Repeat("x", size))
	require.NoError(t, err)
	require.NoError(t, reg.Backup(t.Context(), backup))
	require.NoError(t, reg.Close())
	return path, backup
}

// A disk that has no room for the copy, or for the marker: the old file stays where it is.
func TestARestoreOnAFullDiskChangesNothing(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("mounting needs root: %v", err)
	}
	defer func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) }()
	path, backup := backedUp(t, dir, 200<<10)
	filler := filepath.Join(dir, "filler")
	full, restored := 0, false
	for room := int64(0); !restored; room += 16 << 10 {
		var disk syscall.Statfs_t
		require.NoError(t, syscall.Statfs(dir, &disk))
		free := int64(disk.Bavail) * disk.Bsize
		require.NoError(t, os.WriteFile(filler, make([]byte, max(0, free-room)), 0o600))
		before := contentOf(t, path)
		_, err := registry.Restore(t.Context(), backup, path)
		if restored = err == nil; !restored {
			if errors.Is(err, syscall.ENOSPC) { // of FILE-shm SQLite keeps another error
				full++
			}
			require.NotContains(t, err.Error(), "WithRevisionAbove")
			require.Equal(t, before, contentOf(t, path))
			for _, name := range names(t, dir) { // SQLite leaves its own beside the file
				require.Contains(t, []string{"filler", "x.db", "x.db-wal", "x.db-shm"}, name)
			}
		}
		require.NoError(t, os.Remove(filler))
	}
	require.Greater(t, full, 5)
	reg, err := registry.Open(t.Context(), path, registry.WithMustExist())
	require.NoError(t, err)
	closeVerified(t, reg)
}

// What another user put at the marker's name is no marker, and what would hang is not opened.
func TestAStrangersMarkerIsRefused(t *testing.T) {
	dir := t.TempDir()
	path, backup := backedUp(t, dir, 1)
	marker := path + "-restoring"
	refused := func(text string) {
		_, err := registry.Restore(t.Context(), backup, path)
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.ErrorContains(t, err, text)
		_, err = registry.Open(t.Context(), path)
		require.ErrorIs(t, err, registry.ErrInvalid)
		require.ErrorContains(t, err, text)
		require.NoError(t, os.Remove(marker))
	}
	require.NoError(t, syscall.Mkfifo(marker, 0o600))
	refused("FIFO")
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	require.NoError(t, os.WriteFile(marker, []byte(`{"file": "x.db"}`), 0o600))
	require.NoError(t, os.Chown(marker, 4001, 4001))
	refused("belongs to user 4001")
}

// If root restores the registry of a service, the service can open it.
func TestRootRestoresForTheOwnerOfTheFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const service = 4001
	for _, c := range []struct {
		name         string
		folder, file int
		want         uint32
	}{
		{"the service's", service, service, service},
		{"a file of somebody's in root's folder", 0, service, 0},
		{"root's file in a folder of somebody's", service, 0, 0},
	} {
		dir := t.TempDir()
		path, backup := backedUp(t, dir, 1)
		require.NoError(t, os.Chown(dir, c.folder, c.folder))
		require.NoError(t, os.Chown(path, c.file, c.file))
		report, err := registry.Restore(t.Context(), backup, path)
		require.NoError(t, err, c.name)
		for name, want := range map[string]uint32{path: c.want, report.Kept: uint32(c.file)} {
			info, err := os.Stat(name)
			require.NoError(t, err)
			require.Equal(t, want, info.Sys().(*syscall.Stat_t).Uid, c.name)
		}
		requirePermissions(t, 0o600, path)
	}
}

// In a folder that cannot be written nothing is restored, and nothing left.
func TestARestoreInAFolderThatCannotBeWritten(t *testing.T) {
	command, dir := unprivileged(t)
	path, backup := backedUp(t, dir, 1)
	readable := filepath.Join(filepath.Dir(dir), "backup.db")
	copyFile(t, backup, readable)
	require.NoError(t, os.Chmod(readable, 0o644))
	require.NoError(t, os.Chmod(path, 0o666))
	require.NoError(t, os.Chmod(dir, 0o555))
	before := folder(t, dir)
	child := startCommand(t, "restore", command(readable, path, "0", ""))
	for child.out.Scan() {
	}
	child.ended = true
	require.Error(t, child.cmd.Wait())
	require.Contains(t, child.stderr.String(), "permission denied")
	require.Equal(t, before, folder(t, dir))
}
