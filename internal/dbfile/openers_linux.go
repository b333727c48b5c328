package dbfile

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// InUse returns who has the database at path open, or a file beside it, in words: another process whose descriptors may be looked at, or
// one that holds a lock. It returns "" if nobody is known. Descriptors of this process are not looked at, and locks only with byLocks:
// this process holds some itself if it has the database open.
//
// What it does not see: processes of other users that hold no lock (unless this one is root's), and those outside of this container.
func InUse(path string, byLocks bool) string {
	var files []os.FileInfo
	for _, suffix := range append([]string{""}, suffixes...) {
		if info, err := os.Lstat(path + suffix); err == nil && info.Mode().IsRegular() {
			files = append(files, info)
		}
	}
	if len(files) == 0 {
		return ""
	}
	if pid := openedBy(filepath.Base(path), files); pid != "" {
		return fmt.Sprintf("process %s has it open", pid)
	}
	if byLocks {
		for _, info := range files {
			if held, _ := isLocked(info); held {
				return "somebody has it locked"
			}
		}
	}
	return ""
}

// openedBy returns the id of another process that has one of the files open, or "". Their names begin with base.
func openedBy(base string, files []os.FileInfo) string {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	own := strconv.Itoa(os.Getpid())
	for _, process := range processes {
		pid := process.Name()
		if strings.Trim(pid, "0123456789") != "" || pid == own {
			continue
		}
		folder := filepath.Join("/proc", pid, "fd")
		opened, err := os.ReadDir(folder)
		if err != nil { // it has ended, or may not be looked at
			continue
		}
		for _, fd := range opened {
			// The name first: asking for more may wait for ever, of a file on a server that is gone.
			link := filepath.Join(folder, fd.Name())
			if name, err := os.Readlink(link); err != nil || !strings.HasPrefix(filepath.Base(name), base) {
				continue
			}
			info, err := os.Stat(link)
			if err == nil && slices.ContainsFunc(files, func(f os.FileInfo) bool { return os.SameFile(f, info) }) {
				return pid
			}
		}
	}
	return ""
}
