package dbfile

import (
	"errors"
	"fmt"
	"os"
	"runtime"
)

// SyncDir makes the names in a folder durable. Windows flushes no folder, and writes its names through a journal.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncFolder(d), d.Close())
}

// syncFolder does what SyncDir does, with a folder that is open.
func syncFolder(dir *os.File) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir.Name(), err)
	}
	return nil
}

// openFolder opens a folder and its descriptor.
func openFolder(dir string) (*os.Root, *os.File, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, nil, err
	}
	folder, err := root.Open(".")
	if err != nil {
		return nil, nil, errors.Join(err, root.Close())
	}
	return root, folder, nil
}
