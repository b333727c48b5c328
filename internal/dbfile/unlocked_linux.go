package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
)

// isUnlocked reports whether the kernel knows of no lock on the file at path, which info is about.
func isUnlocked(path string, info os.FileInfo) bool {
	pids, known, err := lockers(path, info)
	return err == nil && known && len(pids) == 0
}

// noPid stands for a lock that belongs to an open file description, and so to no single process.
const noPid = "-1"

// lockers returns the ids of the processes that hold a lock on the file at path, which info is about. They are not known if this
// system has no list of locks. (Each connection in WAL mode holds one on FILE-shm. To ask by fcntl would take a descriptor, and closing
// it would drop this process's own.)
func lockers(path string, info os.FileInfo) (pids []string, known bool, err error) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, false, nil
	}
	locks, err := os.ReadFile("/proc/locks")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	return lockersIn(string(locks), mountDevice(path, stat.Ino), stat.Ino), true, nil
}

// lockersIn returns the processes of those lines of /proc/locks that are about a file. With the device "" it goes by the file's number
// alone, so it may return processes that lock another file, of the same number.
func lockersIn(locks, device string, number uint64) (pids []string) {
	// A line is "1: POSIX  ADVISORY  READ 1234 fe:00:5678 128 128".
	name := fmt.Sprintf("%s:%d", device, number)
	for line := range strings.Lines(locks) {
		fields := strings.Fields(line)
		at := slices.IndexFunc(fields, func(field string) bool {
			return field == name || device == "" && strings.HasSuffix(field, name)
		})
		if at > 0 {
			pids = append(pids, fields[at-1])
		}
	}
	return pids
}
