//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package dbfile

import (
	"errors"
	"os"
)

// lock knows of no locks on folders.
func lock(*os.File) error { return errors.ErrUnsupported }
