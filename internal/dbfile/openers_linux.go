package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// InUse returns who has the database at path open, or a file beside it, in words: a process whose descriptors may be looked at, or
// one that holds a lock. It returns "" if nobody is known, and an error if it could not look. With alone this process holds SQLite's
// exclusive lock: its own descriptors and locks are passed over, and nobody else can have a lock on the database itself.
//
// What it does not see: processes of other users that hold no lock (unless this one is root's), and those outside of this container.
// It sees nothing if /proc is not there.
func InUse(path string, alone bool) (string, error) {
	names, files, err := present(path)
	if err != nil || len(files) == 0 {
		return "", err
	}
	looked := map[string]bool{}
	if alone {
		looked[strconv.Itoa(os.Getpid())] = true
	}
	pid, err := openedBy(filepath.Base(path), files, looked)
	if err != nil {
		return "", cannotTell(path, err)
	}
	if pid != "" {
		return "process " + pid + " has it open", nil
	}
	for i, name := range names {
		if alone && name == path {
			continue
		}
		pids, _, err := lockers(name, files[i])
		if err != nil {
			return "", cannotTell(path, err)
		}
		for _, pid := range pids {
			switch {
			case pid == noPid:
				return "somebody has it locked (an open file description)", nil
			case !looked[pid]: // who was looked at has another file locked, if only numbers were compared
				return "somebody has it locked (process " + pid + ")", nil
			}
		}
	}
	return "", nil
}

func cannotTell(path string, err error) error {
	return fmt.Errorf("it cannot be told who has %s open: %w", path, err)
}

// present returns the paths and the infos of a database and of the files beside it, as far as they are there.
func present(path string) (names []string, files []os.FileInfo, err error) {
	for _, suffix := range append([]string{""}, suffixes...) {
		info, err := os.Lstat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return nil, nil, err
		case info.Mode().IsRegular():
			names, files = append(names, path+suffix), append(files, info)
		}
	}
	return names, files, nil
}

// openedBy returns the id of a process that has one of the files open, or "". Their names begin with base. It passes over those that
// were looked at, and adds to them.
func openedBy(base string, files []os.FileInfo, looked map[string]bool) (string, error) {
	processes, err := os.ReadDir("/proc")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	for _, process := range processes {
		pid := process.Name()
		if strings.Trim(pid, "0123456789") != "" || looked[pid] {
			continue
		}
		opens, err := hasOpen(filepath.Join("/proc", pid, "fd"), base, files)
		switch {
		case isPrivate(err):
			continue
		case err != nil:
			return "", err
		case opens:
			return pid, nil
		}
		looked[pid] = true
	}
	return "", nil
}

// hasOpen reports whether one of the descriptors in a process's folder is of one of the files.
func hasOpen(folder, base string, files []os.FileInfo) (bool, error) {
	opened, err := os.ReadDir(folder)
	if err != nil {
		return false, err
	}
	for _, fd := range opened {
		// The name first: asking for more may wait for ever, of a file on a server that is gone.
		link := filepath.Join(folder, fd.Name())
		name, err := os.Readlink(link)
		if err == nil && strings.HasPrefix(filepath.Base(name), base) {
			var info os.FileInfo
			info, err = os.Stat(link)
			if err == nil && slices.ContainsFunc(files, func(f os.FileInfo) bool { return os.SameFile(f, info) }) {
				return true, nil
			}
		}
		if err != nil && !isPrivate(err) {
			return false, err
		}
	}
	return false, nil
}

// isPrivate reports whether err says that a process has ended, or has closed a descriptor, or may not be looked at.
func isPrivate(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) || errors.Is(err, fs.ErrPermission)
}
