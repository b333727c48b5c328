//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dbfile

import (
	"errors"
	"os"
	"syscall"
)

// lock takes a folder's lock, which ends with the descriptor, and so with the process. It returns errLocked if another has
// it, and errors.ErrUnsupported if the file system has no such locks.
func lock(dir *os.File) error {
	for {
		err := syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		case !errors.Is(err, syscall.EINTR):
			return errors.ErrUnsupported
		}
	}
}
