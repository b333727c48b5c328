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
	if err := checkFree(path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	temp, err := createTemp(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(temp.Name())) }()
	err = w.Retry(ctx, func() error {
		conn, err := lend(ctx, readers, w)
		if err != nil {
			return err
		}
		defer conn.Close()
		return asOurselves(conn, func() error { // it attaches the copy
			_, err := conn.ExecContext(ctx, "VACUUM INTO ?1", fileURI(temp.Name())+"?vfs="+diskVFS())
			return err
		})
	})
	// VACUUM INTO syncs nothing. The descriptor is closed before the file has its name: from then on somebody may open it
	// as a database, and closing a second descriptor would drop that one's locks.
	if err := errors.Join(err, temp.Sync(), temp.Close()); err != nil {
		return err
	}
	if err := checkFree(path); err != nil {
		return err
	}
	// A link, unlike a rename, fails where the name is taken.
	if err := os.Link(temp.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// checkFree returns fs.ErrExist where the name is taken, and where a journal of an earlier database of that name was left
// behind: SQLite would play it into the copy.
func checkFree(path string) error {
	for _, suffix := range []string{"", "-wal", "-journal", "-shm"} {
		_, err := os.Lstat(path + suffix)
		if err == nil {
			return &os.PathError{Op: "backup", Path: path + suffix, Err: os.ErrExist}
		}
		if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// diskVFS is SQLite's default layer for files. A backup names it, since that of a database in memory would go there too.
func diskVFS() string {
	if runtime.GOOS == "windows" {
		return "win32"
	}
	return "unix"
}

// syncDir makes the names in a folder durable. Windows flushes no folder, and writes its names through a journal.
func syncDir(dir string) error {
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
