//go:build !linux && !darwin && !windows

package dbfile

import (
	"errors"
	"os"
)

// renameExclusive returns errors.ErrUnsupported: this system has no such call.
func renameExclusive(*os.Root, string, *os.Root, string) error { return errors.ErrUnsupported }
