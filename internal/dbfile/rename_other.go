//go:build !linux && !darwin && !windows

package dbfile

import (
	"errors"
	"os"
)

// renameExclusive is not known here.
func renameExclusive(*os.Root, string, *os.Root, string) error { return errors.ErrUnsupported }
