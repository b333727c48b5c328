package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// Backup writes one snapshot of the database to a new file. The file gets its name only when it is complete and synced,
// is readable by its owner only, and an existing one is never replaced (fs.ErrExist). A context that ends stops it. The
// unfinished copy lies in a private folder beside it; the next Backup into that folder removes what a killed one left.
func Backup(ctx context.Context, readers *sql.DB, w Wait, path string) (err error) {
	path, err = dbfile.ResolveNew(path)
	if err != nil {
		return err
	}
	if err := checkFree(path); err != nil {
		return err
	}
	dir := filepath.Dir(path)
	work, err := dbfile.NewWorkspace(dir, "backup")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, work.Remove()) }()
	made, err := Copy(ctx, readers, w, work)
	if err != nil {
		return err
	}
	if err := checkFree(path); err != nil {
		return err
	}
	if _, err := work.Publish(made, filepath.Base(path)); err != nil {
		return err
	}
	return dbfile.SyncDir(dir)
}

// checkFree returns fs.ErrExist as dbfile.CheckFree does, and dbfile.ErrRestoring if a restore may be about to put a file there.
func checkFree(path string) error {
	if err := dbfile.CheckMarker(path, nil); err != nil {
		return err
	}
	return dbfile.CheckFree(path)
}

// Copy writes one snapshot of the database to the file of the workspace, which it makes and syncs.
func Copy(ctx context.Context, readers *sql.DB, w Wait, work *dbfile.Workspace) (made os.FileInfo, err error) {
	temp, err := work.Create()
	if err != nil {
		return nil, err
	}
	// The descriptor is closed before the file has its name: from then on somebody may open it as a database, and closing a
	// second descriptor would drop that one's locks.
	defer func() { err = errors.Join(err, temp.Close()) }()
	err = w.Retry(ctx, func() error {
		conn, err := lend(ctx, readers, w)
		if err != nil {
			return err
		}
		defer conn.Close()
		if err := work.Holds(temp); err != nil {
			return err
		}
		return asOurselves(conn, func() error { // it attaches the copy; mode=rw: to the file that is there, or to none
			_, err := conn.ExecContext(ctx, "VACUUM INTO ?1", fileURI(work.Path())+"?mode=rw&vfs="+diskVFS())
			return err
		})
	})
	if err := errors.Join(err, temp.Sync()); err != nil { // VACUUM INTO syncs nothing
		return nil, err
	}
	if made, err = temp.Stat(); err == nil && made.Size() == 0 {
		err = fmt.Errorf("%w: %s", dbfile.ErrReplaced, work.Path())
	}
	return made, err
}

// diskVFS is SQLite's default layer for files. A backup names it, since that of a database in memory would go there too.
func diskVFS() string {
	if runtime.GOOS == "windows" {
		return "win32"
	}
	return "unix"
}
