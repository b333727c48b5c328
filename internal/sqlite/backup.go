package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Backup writes one snapshot of the database to a new file. The file gets its name only when it is complete and synced,
// is readable by its owner only, and an existing one is never replaced (fs.ErrExist). A context that ends stops it.
func Backup(ctx context.Context, readers *sql.DB, w Wait, path string) (err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(path); err == nil {
		return &os.PathError{Op: "backup", Path: path, Err: os.ErrExist}
	}
	dir := filepath.Dir(path)
	temp, err := os.CreateTemp(dir, ".stateregistry-*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	err = w.Retry(ctx, func() error {
		_, err := readers.ExecContext(ctx, "VACUUM INTO ?1", fileURI(temp.Name())+"?vfs="+diskVFS())
		return err
	})
	// VACUUM INTO syncs nothing. The descriptor is closed before the file has its name: from then on somebody may open it
	// as a database, and closing a second descriptor would drop that one's locks.
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, fails where the name is taken.
	if err := os.Link(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// diskVFS is SQLite's default layer for files. A backup names it, since that of a database in memory would go there too.
func diskVFS() string {
	if runtime.GOOS == "windows" {
		return "win32"
	}
	return "unix"
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := d.Sync(); err != nil {
		return errors.Join(fmt.Errorf("sync %s: %w", dir, err), d.Close())
	}
	return d.Close()
}
