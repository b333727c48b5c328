package dbfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// renameExclusive renames without replacing, errors.ErrUnsupported if the file system or the kernel cannot.
func renameExclusive(source *os.Root, from string, target *os.Root, to string) error {
	err := fdOf(source, func(s int) error {
		return fdOf(target, func(t int) error { return unix.Renameat2(s, from, t, to, unix.RENAME_NOREPLACE) })
	})
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPERM) { // EPERM: sandboxes that do not know the call
		return errors.ErrUnsupported
	}
	return err
}
