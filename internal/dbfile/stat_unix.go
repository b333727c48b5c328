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
