package dbfile

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// isUnlocked reports whether the kernel knows of no lock on a file.
func isUnlocked(info os.FileInfo) bool {
	held, known := isLocked(info)
	return known && !held
}

// isLocked reports whether the kernel knows of a lock on a file, if that can be told. (Each connection in WAL mode holds one on
// FILE-shm. To ask by fcntl would take a descriptor, and closing it would drop this process's own.)
func isLocked(info os.FileInfo) (held, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false, false
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false, false
	}
	// A line is "1: POSIX  ADVISORY  READ 1234 fe:00:5678 128 128". Devices are named otherwise than by stat on some file
	// systems, so the file's number alone counts.
	ending := ":" + strconv.FormatUint(uint64(stat.Ino), 10)
	for line := range strings.Lines(string(locks)) {
		if slices.ContainsFunc(strings.Fields(line), func(field string) bool { return strings.HasSuffix(field, ending) }) {
			return true, true
		}
	}
	return false, true
}
