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
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", dir, err), d.Close())
	}
	return d.Close()
}
