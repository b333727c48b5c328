package dbfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// lockDescription locks a file for an open file description, as some programs do: the kernel names no process then.
func lockDescription(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	require.NoError(t, unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_RDLCK, Start: 128, Len: 1}))
}

func TestALockIsFoundByTheDeviceOfItsFileSystem(t *testing.T) {
	dirs := map[string]string{"the folder of tests": t.TempDir(), "the one of the code": "."}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		dirs["memory"] = "/dev/shm"
	}
	if dir := overlay(t); dir != "" {
		dirs["an overlay"] = dir
	}
	for what, dir := range dirs {
		f, err := os.CreateTemp(dir, "lock-*.tmp")
		if err != nil {
			t.Logf("%s: %v", what, err)
			continue
		}
		t.Cleanup(func() { os.Remove(f.Name()) })
		require.NoError(t, f.Close())
		info, err := os.Lstat(f.Name())
		require.NoError(t, err)
		pids, known, err := lockers(f.Name(), info)
		require.NoError(t, err, what)
		require.True(t, known, what)
		require.Empty(t, pids, what)
		lockDescription(t, f.Name())
		require.NotEmpty(t, mountDevice(f.Name(), info.Sys().(*syscall.Stat_t).Ino), what)
		pids, _, err = lockers(f.Name(), info)
		require.NoError(t, err, what)
		require.Equal(t, []string{noPid}, pids, what)
	}
}

// overlay mounts a file system whose files have, for stat, another device than for the kernel's lists. It returns "" if it may not.
func overlay(t *testing.T) string {
	t.Helper()
	base, dir := t.TempDir(), t.TempDir()
	if syscall.Mount("tmpfs", base, "tmpfs", 0, "") != nil {
		return ""
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(base, syscall.MNT_DETACH)) })
	for _, name := range []string{"lower", "upper", "work"} {
		require.NoError(t, os.Mkdir(filepath.Join(base, name), 0o700))
	}
	options := "lowerdir=" + base + "/lower,upperdir=" + base + "/upper,workdir=" + base + "/work"
	if err := syscall.Mount("overlay", dir, "overlay", 0, options); err != nil {
		t.Logf("no overlay: %v", err)
		return ""
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// Numbers of files are unique within one file system only: two that are mounted at the same moment begin to count at the same one.
func TestALockOnAnotherFileSystemIsNoUse(t *testing.T) {
	var paths []string
	for range 2 {
		dir := t.TempDir()
		if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
			t.Skipf("mounting needs root: %v", err)
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
		path := filepath.Join(dir, "x.db")
		put(t, path+"-shm", "x")
		paths = append(paths, path)
	}
	mine, err := os.Lstat(paths[0] + "-shm")
	require.NoError(t, err)
	other, err := os.Lstat(paths[1] + "-shm")
	require.NoError(t, err)
	require.Equal(t, mine.Sys().(*syscall.Stat_t).Ino, other.Sys().(*syscall.Stat_t).Ino)

	lockDescription(t, paths[1]+"-shm")
	require.Empty(t, inUse(t, paths[0], true))
	require.NoError(t, CheckFree(paths[0]))
	require.Equal(t, "somebody has it locked (an open file description)", inUse(t, paths[1], true))
	require.Error(t, CheckFree(paths[1]))
}

func TestWithoutADeviceALockIsFoundByItsNumber(t *testing.T) {
	const locks = "1: POSIX  ADVISORY  READ 12 fe:00:5678 128 128\n" +
		"1: -> POSIX  ADVISORY  WRITE 13 fe:00:5678 0 EOF\n" +
		"2: FLOCK  ADVISORY  WRITE 14 00:1f:5678 0 EOF\n" +
		"3: OFDLCK ADVISORY  READ -1 00:1f:678 128 128\n" +
		"4: LEASE  ACTIVE    READ 15 103:02:5678 0 EOF\n"
	require.Equal(t, []string{"12", "13", "14", "15"}, lockersIn(locks, "", 5678))
	require.Equal(t, []string{"12", "13"}, lockersIn(locks, "fe:00", 5678))
	require.Equal(t, []string{"14"}, lockersIn(locks, "00:1f", 5678))
	require.Equal(t, []string{noPid}, lockersIn(locks, "", 678))
	require.Empty(t, lockersIn(locks, "", 8))

	const mounts = "22 27 0:31 / /proc rw - proc proc rw\n27 1 254:0 / / rw - ext4 /dev/vda rw\n9 1 259:2 /@ /a\\040b rw - btrfs x rw\nbroken\n"
	require.Equal(t, "00:1f", deviceOf(mounts, "22"))
	require.Equal(t, "fe:00", deviceOf(mounts, "27"))
	require.Equal(t, "103:02", deviceOf(mounts, "9"))
	require.Empty(t, deviceOf(mounts, "2"))
}
