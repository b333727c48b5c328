package dbfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameExclusive renames without replacing, errors.ErrUnsupported if the file system cannot.
func renameExclusive(source *os.Root, from string, target *os.Root, to string) error {
	err := fdOf(source, func(s int) error {
		return fdOf(target, func(t int) error { return unix.RenameatxNp(s, from, t, to, unix.RENAME_EXCL) })
	})
	if errors.Is(err, unix.EINVAL) {
		return errors.ErrUnsupported
	}
	return err
}
