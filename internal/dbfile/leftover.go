package dbfile

import (
	"errors"
	"io/fs"
	"os"
)

// CheckFree returns fs.ErrExist if there is a file of that name, or a journal of an earlier one that a new file must not
// meet: SQLite would play it into the file. An empty FILE-wal, and a FILE-shm that nobody has open, are no more than litter
// of connections that only read, and SQLite takes them over. Nothing is removed: if the earlier file was moved away while
// somebody has it open, they are still in use.
func CheckFree(path string) error {
	taken := func(path string, why error) error { return &os.PathError{Op: "create", Path: path, Err: why} }
	for _, suffix := range append([]string{""}, suffixes...) {
		info, err := os.Lstat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case suffix == "" || suffix == "-journal" || !isLitter(suffix, info):
			return taken(path+suffix, fs.ErrExist)
		}
	}
	return nil
}

// isLitter reports whether a FILE-wal or a FILE-shm whose FILE is missing is of no use to anybody.
func isLitter(suffix string, info os.FileInfo) bool {
	if !info.Mode().IsRegular() || checkOwner("", info, nil) != nil {
		return false
	}
	if suffix == "-wal" {
		return info.Size() == 0
	}
	return isUnlocked(info)
}
