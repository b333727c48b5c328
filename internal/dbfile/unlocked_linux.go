package dbfile

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// isUnlocked reports whether the kernel knows of no lock on a file. (Each connection in WAL mode holds one on FILE-shm. To
// ask by fcntl would take a descriptor, and closing it would drop this process's own.)
func isUnlocked(info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return false
	}
	// A line is "1: POSIX  ADVISORY  READ 1234 fe:00:5678 128 128". Devices are named otherwise than by stat on some file
	// systems, so the file's number alone counts.
	ending := ":" + strconv.FormatUint(uint64(stat.Ino), 10)
	for line := range strings.Lines(string(locks)) {
		if slices.ContainsFunc(strings.Fields(line), func(field string) bool { return strings.HasSuffix(field, ending) }) {
			return false
		}
	}
	return true
}
