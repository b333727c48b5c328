package dbfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// RenameNew gives the file at a path another name in its file system. It returns fs.ErrExist if that name is taken, by a
// symlink too, and never makes a second name of a file.
func RenameNew(from, to string) error {
	source, err := os.OpenRoot(filepath.Dir(from))
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenRoot(filepath.Dir(to))
	if err != nil {
		return err
	}
	defer target.Close()
	if err := renameNew(source, filepath.Base(from), target, filepath.Base(to)); err != nil {
		return &fs.PathError{Op: "create", Path: to, Err: err}
	}
	return nil
}

// renaming renames without replacing between two folders that are open, wherever their names lead by now.
type renaming func(source *os.Root, from string, target *os.Root, to string) error

// renameNew is the renaming that works everywhere.
func renameNew(source *os.Root, from string, target *os.Root, to string) error {
	err := renameExclusive(source, from, target, to)
	if errors.Is(err, errors.ErrUnsupported) {
		return renameOverPlaceholder(source, from, target, to)
	}
	return err
}

// placeholder is the content of a name that is taken for a file which follows at once. It is no database, so nobody opens it
// as one meanwhile.
const placeholder = "stateregistry: a file is about to take this place\n"

// renameOverPlaceholder takes a name where a rename would replace a file: on systems and file systems that know no other.
func renameOverPlaceholder(source *os.Root, from string, target *os.Root, to string) error {
	f, err := target.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(placeholder)
	ours, failed := f.Stat()
	if err := errors.Join(err, failed, f.Close()); err != nil {
		return errors.Join(err, target.Remove(to))
	}
	if now, err := target.Lstat(to); err != nil || !os.SameFile(ours, now) {
		return fmt.Errorf("%w: %s", ErrReplaced, to)
	}
	err = os.Rename(filepath.Join(source.Name(), from), filepath.Join(target.Name(), to))
	if err != nil {
		return errors.Join(err, target.Remove(to))
	}
	return nil
}

// fdOf calls f with the descriptor of a folder.
func fdOf(root *os.Root, f func(fd int) error) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(int(dir.Fd()))
}
