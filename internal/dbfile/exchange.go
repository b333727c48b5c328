package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Find returns the database file at a path that Resolve gave, nil if there is none, and the names of the journals beside it that hold
// something. It looks at less than Examine: the file and its journals need not belong together. It returns ErrUnfit and ErrReplaced as
// Examine does.
func Find(path string) (file *File, filled []string, err error) {
	if file, err = find(path); err != nil {
		return nil, nil, err
	}
	if file != nil {
		if err := checkNames(path, file); err != nil {
			return nil, nil, err
		}
	}
	sizes, err := checkBeside(path, file, checkOwnerBeside)
	if err != nil {
		return nil, nil, err
	}
	for _, suffix := range suffixes {
		if suffix != "-shm" && sizes[suffix] > 0 {
			filled = append(filled, path+suffix)
		}
	}
	return file, filled, nil
}

// IsEmpty reports whether the file had no content when it was found.
func (f *File) IsEmpty() bool { return f.info.Size() == 0 }

// CheckNames returns fs.ErrExist if something has the name of a database at path, or of a file beside it.
func CheckNames(path string) error {
	for _, suffix := range append([]string{""}, suffixes...) {
		if _, err := os.Lstat(path + suffix); err == nil {
			return &fs.PathError{Op: "create", Path: path + suffix, Err: fs.ErrExist}
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ErrHalfway says that an exchange failed in the middle, and could not be undone.
var ErrHalfway = errors.New("it is not certain which file is there")

// Exchange puts the file of a workspace, whose info made is, in the place of the database old at path, which nobody has open. old keeps
// what it holds, and gets the name kept in the same folder; journals that hold something go with it, so that SQLite finds them
// again, and those that hold nothing, and the index of a WAL, are removed. With old nil there is only what lies beside it. The names
// are durable when Exchange returns.
//
// Exchange calls at before each step, and stops if that returns an error. On an error all is as it was, unless ErrHalfway holds.
func Exchange(path, kept string, old *File, work *Workspace, made os.FileInfo, at func(step string) error) (err error) {
	e := exchange{dir: work.parent, path: path, kept: filepath.Base(kept), old: old, made: made}
	defer func() {
		if err == nil {
			return
		}
		if failed := e.undo(); failed != nil {
			err = fmt.Errorf("%w: %w", ErrHalfway, errors.Join(err, failed))
		}
	}()
	if err := at("keep the old file"); err != nil {
		return err
	}
	if old != nil {
		if err := old.At(path); err != nil {
			return err
		}
		if err := e.move(""); err != nil {
			return err
		}
		if err := old.At(filepath.Join(filepath.Dir(path), e.kept)); err != nil {
			return err
		}
		// Before its journals follow: a power loss must not leave them without it.
		if err := SyncDir(filepath.Dir(path)); err != nil {
			return err
		}
	}
	for _, suffix := range suffixes {
		if err := at("clear " + suffix); err != nil {
			return err
		}
		if err := e.clear(suffix); err != nil {
			return err
		}
	}
	if err := SyncDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := at("put the new file there"); err != nil {
		return err
	}
	if _, err := work.Publish(made, filepath.Base(path)); err != nil {
		return err
	}
	if err = at("sync the names"); err == nil {
		err = SyncDir(filepath.Dir(path))
	}
	if err != nil { // the new file is there by now, and what a power loss makes of it is not known
		e.done = true
		err = fmt.Errorf("%w: %w", ErrHalfway, err)
	}
	return err
}

type exchange struct {
	dir   *os.Root
	path  string
	kept  string
	old   *File
	made  os.FileInfo
	began bool     // something may have been moved
	moved []string // the suffixes of what has the kept name
	done  bool     // there is nothing to undo any more
}

func (e *exchange) move(suffix string) error {
	from, to := filepath.Base(e.path)+suffix, e.kept+suffix
	e.began = true
	if err := renameNew(e.dir, from, e.dir, to); err != nil {
		return &os.LinkError{Op: "rename", Old: e.path + suffix, New: to, Err: err}
	}
	e.moved = append(e.moved, suffix)
	return nil
}

// clear moves or removes a file beside the database.
func (e *exchange) clear(suffix string) error {
	name := filepath.Base(e.path) + suffix
	info, err := e.dir.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%w: %s is %s, not a file: remove it", ErrUnfit, e.path+suffix, kind(info))
	case suffix == "-shm" || info.Size() == 0:
		return e.dir.Remove(name)
	}
	return e.move(suffix)
}

// undo gives everything its name back, the file last: without it nobody takes its journals for those of another. It returns an error
// if the path does not lead to what it led to before.
func (e *exchange) undo() error {
	if e.done {
		return nil
	}
	now, err := os.Lstat(e.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil && os.SameFile(now, e.made) {
		return fmt.Errorf("the new file is at %s already", e.path)
	}
	if !e.began {
		return nil
	}
	if err == nil && len(e.moved) > 0 { // the journals would be played into it
		return fmt.Errorf("%w: somebody put a file there: %s", ErrReplaced, e.path)
	}
	for i := len(e.moved) - 1; i >= 0; i-- {
		if err := renameNew(e.dir, e.kept+e.moved[i], e.dir, filepath.Base(e.path)+e.moved[i]); err != nil {
			return err
		}
	}
	if err := SyncDir(filepath.Dir(e.path)); err != nil {
		return err
	}
	if e.old != nil {
		return e.old.At(e.path)
	}
	if _, err := os.Lstat(e.path); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fmt.Errorf("%w: %s", ErrReplaced, e.path))
	}
	return nil
}
