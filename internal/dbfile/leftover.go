package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CheckFree returns fs.ErrExist if there is a file of that name, or a journal of an earlier one that a new file must not
// meet: SQLite would play it into the file. An empty FILE-wal, and a FILE-shm that nobody has open, are no more than litter
// of connections that only read, and SQLite takes them over. Nothing is removed: if the earlier file was moved away while
// somebody has it open, they are still in use.
func CheckFree(path string) error {
	taken := func(path string) error { return &os.PathError{Op: "create", Path: path, Err: fs.ErrExist} }
	for _, suffix := range append([]string{""}, suffixes...) {
		info, err := os.Lstat(path + suffix)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case suffix == "":
			return taken(path)
		case !isLitter(path, suffix, info):
			return fmt.Errorf("%w: it is of an earlier %s: remove it if no process has that open", taken(path+suffix), filepath.Base(path))
		}
	}
	return nil
}

// isLitter reports whether a file beside the database at path, which is missing, is of no use to anybody.
func isLitter(path, suffix string, info os.FileInfo) bool {
	if suffix == "-journal" || !info.Mode().IsRegular() || checkOwner("", info, nil) != nil {
		return false
	}
	if suffix == "-wal" {
		return info.Size() == 0
	}
	return isUnlocked(path+suffix, info)
}
