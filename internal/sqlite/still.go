package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// A database in WAL mode cannot be read the usual way if FILE-shm cannot be made: on a CD, in an image, in a folder of somebody
// else. SQLite reads it without any lock if it is told that the file does not change (immutable), and gives wrong answers if it
// does. So each statement, and each row, is checked against what the file was at the opening.

// ErrMoved says that a file which was opened as one that does not change did.
var ErrMoved = errors.New("the file changed since it was opened where nothing can be written: open it again")

// errCommitsInWAL says why a database cannot be read without writing.
const errCommitsInWAL = "%s holds what is not in the file yet, and nothing can be written beside it: open the registry once " +
	"where it can be written, or copy both files to a folder that can be"

// still is a file that does not change, as it was when it was opened.
type still struct {
	path string
	info os.FileInfo
}

// NeedsToWrite reports whether err says that a database could not be read because nothing can be created or changed beside it.
func NeedsToWrite(err error) bool {
	if e, ok := errors.AsType[*causeError](err); ok {
		return e.cause == nil
	}
	e, ok := errors.AsType[sqlite3.Error](err)
	if !ok {
		return false
	}
	causes := []syscall.Errno{syscall.EACCES, syscall.EPERM, syscall.EROFS, syscall.ENOENT}
	return e.Code == sqlite3.ErrReadonly || e.Code == sqlite3.ErrCantOpen && slices.Contains(causes, e.SystemErrno)
}

// Still is the same file, taken for one that does not change: connections that read need nothing beside it. If it does change,
// their statements return ErrMoved. It returns an error for which IsReadOnly holds if a journal beside it is not empty.
func (l Location) Still() (Location, error) {
	info, err := os.Stat(l.path)
	if err != nil {
		return l, err
	}
	for _, suffix := range []string{"-wal", "-journal"} {
		if isFilled(l.path + suffix) {
			return l, fmt.Errorf(errCommitsInWAL+": %w", l.path+suffix, sqlite3.Error{Code: sqlite3.ErrReadonly})
		}
	}
	l.still = &still{l.path, info}
	return l, nil
}

// check returns ErrMoved if the file is not as it was.
func (s *still) check() error {
	info, err := os.Stat(s.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrMoved, err)
	}
	if !os.SameFile(info, s.info) || info.Size() != s.info.Size() || !info.ModTime().Equal(s.info.ModTime()) ||
		isFilled(s.path+"-wal") || isFilled(s.path+"-journal") {
		return ErrMoved
	}
	return nil
}

// isFilled reports whether a file is there and not empty, or cannot be asked.
func isFilled(path string) bool {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	return err != nil || info.Size() > 0
}

// stillRows are rows of a file that does not change.
type stillRows struct {
	driver.Rows
	still *still
}

// Next implements driver.Rows. A row counts only if the file is unchanged after it was read.
func (r stillRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if moved := r.still.check(); moved != nil {
		return moved
	}
	return err
}

// stillStmt is a prepared statement on such a file.
type stillStmt struct {
	*sqlite3.SQLiteStmt
	still *still
}

// QueryContext implements driver.StmtQueryContext.
func (s stillStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	rows, err := s.SQLiteStmt.QueryContext(ctx, args)
	return s.still.rows(rows, err)
}

// rows passes on the rows and the error of a query, if the file is unchanged.
func (s *still) rows(rows driver.Rows, err error) (driver.Rows, error) {
	if moved := s.check(); moved != nil {
		if err == nil {
			_ = rows.Close()
		}
		return nil, moved
	}
	if err != nil {
		return nil, err
	}
	return stillRows{rows, s}, nil
}
