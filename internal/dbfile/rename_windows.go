package dbfile

import (
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// renameExclusive renames without replacing.
func renameExclusive(source *os.Root, from string, target *os.Root, to string) error {
	old, err := windows.UTF16PtrFromString(filepath.Join(source.Name(), from))
	if err != nil {
		return err
	}
	name, err := windows.UTF16PtrFromString(filepath.Join(target.Name(), to))
	if err != nil {
		return err
	}
	return windows.MoveFileEx(old, name, windows.MOVEFILE_WRITE_THROUGH)
}
