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
	pids, known := lockers(info)
	return known && len(pids) == 0
}

// lockers returns the ids of the processes that hold a lock on a file, or on another one with the same number, if that can be told.
// (Each connection in WAL mode holds one on FILE-shm. To ask by fcntl would take a descriptor, and closing it would drop this
// process's own.)
func lockers(info os.FileInfo) (pids []string, known bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil, false
	}
	// A line is "1: POSIX  ADVISORY  READ 1234 fe:00:5678 128 128". Devices are named otherwise than by stat on some file
	// systems, so the file's number alone counts.
	ending := ":" + strconv.FormatUint(uint64(stat.Ino), 10)
	for line := range strings.Lines(string(locks)) {
		fields := strings.Fields(line)
		at := slices.IndexFunc(fields, func(field string) bool { return strings.HasSuffix(field, ending) })
		if at > 0 {
			pids = append(pids, fields[at-1])
		}
	}
	return pids, true
}
