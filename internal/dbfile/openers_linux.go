package dbfile

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// InUse returns who has the database at path open, or a file beside it, in words: a process whose descriptors may be looked at, or
// one that holds a lock. It returns "" if nobody is known. With alone this process holds SQLite's exclusive lock: its own descriptors
// and locks are passed over, and nobody else can have a lock on the database itself.
//
// What it does not see: processes of other users that hold no lock (unless this one is root's), and those outside of this container.
func InUse(path string, alone bool) string {
	names, files := present(path)
	if len(files) == 0 {
		return ""
	}
	looked := map[string]bool{}
	if alone {
		looked[strconv.Itoa(os.Getpid())] = true
	}
	if pid := openedBy(filepath.Base(path), files, looked); pid != "" {
		return "process " + pid + " has it open"
	}
	for i, name := range names {
		if alone && name == path {
			continue
		}
		pids, _ := lockers(name, files[i])
		for _, pid := range pids {
			switch {
			case pid == noPid:
				return "somebody has it locked (an open file description)"
			case !looked[pid]: // who was looked at has another file locked, if only numbers were compared
				return "somebody has it locked (process " + pid + ")"
			}
		}
	}
	return ""
}

// present returns the paths and the infos of a database and of the files beside it, as far as they are there.
func present(path string) (names []string, files []os.FileInfo) {
	for _, suffix := range append([]string{""}, suffixes...) {
		if info, err := os.Lstat(path + suffix); err == nil && info.Mode().IsRegular() {
			names, files = append(names, path+suffix), append(files, info)
		}
	}
	return names, files
}

// openedBy returns the id of a process that has one of the files open, or "". Their names begin with base. It passes over those that
// were looked at, and adds to them.
func openedBy(base string, files []os.FileInfo, looked map[string]bool) string {
	processes, err := os.ReadDir("/proc")
	if err != nil {
		return ""
	}
	for _, process := range processes {
		pid := process.Name()
		if strings.Trim(pid, "0123456789") != "" || looked[pid] {
			continue
		}
		folder := filepath.Join("/proc", pid, "fd")
		opened, err := os.ReadDir(folder)
		if err != nil { // it has ended, or may not be looked at
			continue
		}
		looked[pid] = true
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
