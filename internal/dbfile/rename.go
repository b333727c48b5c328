package dbfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// renaming renames without replacing between two folders that are open, wherever their names lead by now.
type renaming func(source *os.Root, from string, target *os.Root, to string) error

// renameNew renames without replacing, in the way that the system knows.
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
	err = errors.Join(err, failed, f.Close())
	if failed != nil {
		return err // whose it is cannot be told any more
	}
	isOurs := func() bool {
		now, err := target.Lstat(to)
		return err == nil && os.SameFile(ours, now)
	}
	if err == nil && !isOurs() {
		return fmt.Errorf("%w: %s", ErrReplaced, to)
	}
	if err == nil {
		err = os.Rename(filepath.Join(source.Name(), from), filepath.Join(target.Name(), to))
	}
	if err != nil && isOurs() {
		err = errors.Join(err, target.Remove(to))
	}
	return err
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
