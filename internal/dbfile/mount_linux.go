package dbfile

import (
	"path/filepath"

	"golang.org/x/sys/unix"
)

// isMount reports whether a file is mounted by itself, as far as the kernel tells: since 5.8.
func isMount(path string) bool {
	var file, dir unix.Statx_t
	const flags = unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if unix.Statx(unix.AT_FDCWD, path, flags, unix.STATX_MNT_ID, &file) != nil {
		return false
	}
	if file.Attributes_mask&unix.STATX_ATTR_MOUNT_ROOT != 0 {
		return file.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
	}
	if unix.Statx(unix.AT_FDCWD, filepath.Dir(path), flags, unix.STATX_MNT_ID, &dir) != nil {
		return false
	}
	return file.Mask&dir.Mask&unix.STATX_MNT_ID != 0 && file.Mnt_id != dir.Mnt_id
}
