//go:build unix

package dbfile

import (
	"os"
	"syscall"
)

// links returns how many names a file has.
func links(_ string, info os.FileInfo) (uint64, error) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(stat.Nlink), nil
	}
	return 1, nil
}

// ownerOf returns the id of a file's owner, if the system knows of owners.
func ownerOf(info os.FileInfo) (uid int, known bool) {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid), true
	}
	return 0, false
}

// giveTo gives a file that root made to the owner of another one, if the folder is that owner's too: a service whose registry root
// restores must be able to open it.
func giveTo(f *os.File, dir string, like *File) error {
	stat, ok := like.info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || stat.Uid == 0 {
		return nil
	}
	folder, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if owner, known := ownerOf(folder); !known || owner != int(stat.Uid) {
		return nil
	}
	return f.Chown(int(stat.Uid), int(stat.Gid))
}
