package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync/atomic"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// pin is the file that a Location's path led to when it was examined or made. All copies of the Location share it. SQLite
// opens each connection by the path, so one that is opened later could be on another file: it would read there what is
// written here.
type pin struct{ file atomic.Pointer[dbfile.File] }

// Examine looks at the file and at what lies beside it, opens and changes nothing, and holds every later connection to that
// file. It reports whether there is one; one in memory has no file. Errors are those of dbfile.Examine and dbfile.CheckMarker.
func (l Location) Examine() (exists bool, err error) {
	if l.IsMemory() {
		return false, nil
	}
	file, err := l.examine(dbfile.Examine)
	l.pin.file.Store(file)
	return file != nil, err
}

// examine finds the file with look, which is dbfile.Examine but in tests, and makes sure that no restore is running.
func (l Location) examine(look func(path string) (*dbfile.File, error)) (file *dbfile.File, err error) {
	// It looks twice for a file that is missing: a restore may have moved it away before the look, and have put the new one there
	// and removed its marker before the look for that.
	for range 2 {
		file, err = look(l.path)
		// Afterwards: whoever missed the file because a restore had moved it away finds the marker, or the new file is there.
		if marked := l.checkMarker(file); marked != nil {
			return nil, marked
		}
		if file != nil || err != nil && !errors.Is(err, dbfile.ErrTorn) {
			break
		}
	}
	return file, err
}

// pinned returns the file that connections must be on, nil if there is none.
func (l Location) pinned() *dbfile.File {
	if l.pin == nil { // in memory
		return nil
	}
	return l.pin.file.Load()
}

// CheckMarker returns dbfile.ErrRestoring if a restore of the file was interrupted, or is running.
func (l Location) CheckMarker() error { return l.checkMarker(l.pinned()) }

func (l Location) checkMarker(file *dbfile.File) error {
	if l.IsMemory() || l.restoring {
		return nil
	}
	return dbfile.CheckMarker(l.path, file)
}

// check returns dbfile.ErrReplaced if the path does not lead to the pinned file any more, dbfile.ErrUnfit if what lies
// beside it by now cannot be its journal, or is a stranger's, and dbfile.ErrRestoring as CheckMarker does.
func (l Location) check() error {
	if l.IsMemory() {
		return nil
	}
	file := l.pinned()
	if file != nil {
		var err error
		if file, err = file.Now(l.path); err != nil {
			return errors.Join(err, l.checkMarker(nil))
		}
	}
	if err := dbfile.CheckJournals(l.path, file); err != nil {
		return err
	}
	return l.checkMarker(file)
}

// join opens a connection and makes sure that it is on the pinned file, with no journal of a stranger's.
func (l Location) join(open func() (*sqlite3.SQLiteConn, error)) (*sqlite3.SQLiteConn, error) {
	if err := l.check(); err != nil {
		return nil, err
	}
	conn, err := open()
	if err != nil {
		return nil, errors.Join(err, l.check())
	}
	if err := l.confirm(conn, "main"); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// confirm returns dbfile.ErrReplaced if what a connection has just opened under a name is not the pinned file, and
// dbfile.ErrUnfit as check does.
func (l Location) confirm(conn *sqlite3.SQLiteConn, name string) error {
	if err := l.check(); err != nil {
		return err
	}
	if file := l.pinned(); file != nil {
		// SQLite follows symlinks of its own accord. If it found one that is gone again, its name for the file differs.
		return file.At(conn.GetFilename(name))
	}
	return nil
}

// create makes the file, empty and readable by its owner only, and pins it, unless one is pinned already. It returns
// dbfile.ErrReplaced if somebody else made one since.
func (l Location) create(ctx context.Context, w Wait) (err error) {
	if l.pinned() != nil {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	work, err := dbfile.NewWorkspace(filepath.Dir(l.path), "new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, work.Remove()) }()
	temp, err := work.Create()
	if err != nil {
		return err
	}
	made, err := temp.Stat()
	// The descriptor is closed before the file has its name: from then on somebody may open it as a database, and closing a
	// second descriptor would drop that one's locks.
	if err := errors.Join(err, temp.Close()); err != nil {
		return err
	}
	file, err := work.PublishAtOnce(made, filepath.Base(l.path))
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%w: %s was made by somebody else", dbfile.ErrReplaced, l.path)
	case errors.Is(err, errors.ErrUnsupported):
		return l.createAs(ctx, w, work.Path())
	case err != nil:
		return err
	}
	l.pin.file.Store(file)
	return nil
}

// createAs lets SQLite make the file if it is missing, with the permissions of another file (sqlite.org/uri.html, "modeof").
// That is for file systems which cannot rename without replacing: of processes that make the file at the same moment none
// may replace another's.
func (l Location) createAs(ctx context.Context, w Wait, template string) error {
	s := Settings{Location: l}
	params := s.params()
	params.Set("mode", "rwc")
	params.Set("modeof", template)
	pool := sql.OpenDB(s.connector(params))
	if err := errors.Join(w.Retry(ctx, func() error { return connect(ctx, pool) }), pool.Close()); err != nil {
		return err
	}
	_, err := l.Examine()
	return err
}
