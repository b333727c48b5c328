package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"os"

	"github.com/mattn/go-sqlite3"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// ForRestore returns the same file for who is about to put another one in its place: a restore's marker does not stop it.
func (l Location) ForRestore() Location {
	l.restoring = true
	return l
}

// Path returns the absolute path of the file, without symlinks; "" in memory.
func (l Location) Path() string { return l.path }

// Find pins the file as Examine does, also if it and its journals do not belong together, and returns it, nil if there is none, with the
// paths of the journals that hold something. Errors are those of dbfile.Find.
func (l Location) Find() (file *dbfile.File, journals []string, err error) {
	file, journals, err = dbfile.Find(l.path)
	l.pin.file.Store(file)
	return file, journals, err
}

// Holds returns dbfile.ErrReplaced unless the path leads to what Find found: the same file, or none.
func (l Location) Holds() error {
	if file := l.pinned(); file != nil {
		return file.At(l.path)
	}
	if _, err := os.Lstat(l.path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, dbfile.ErrReplaced)
	}
	return nil
}

// Exclusion keeps everybody else out of a file: SQLite's own lock, which each program that uses the file respects.
type Exclusion struct {
	location Location
	pool     *sql.DB
	conn     *sql.Conn
}

// Exclude takes the file for this connection alone, and moves into it what is in its WAL. IsBusy holds of the error if another
// connection, of this process or of another, has the file open in WAL mode, even if it does nothing, or reads or writes at
// the moment. It waits as w says.
func Exclude(ctx context.Context, l Location, w Wait) (*Exclusion, error) {
	s := Settings{Location: l, writes: true, alone: true}
	params := s.params()
	params.Set("mode", "rw")
	params.Set("_locking_mode", "EXCLUSIVE") // before the WAL is read first, or the lock would be on FILE-shm only
	pool := sql.OpenDB(s.connector(params))
	pool.SetMaxOpenConns(1)
	var e *Exclusion
	err := w.Retry(ctx, func() error {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return err
		}
		e = &Exclusion{l, pool, conn}
		if err = e.take(); err != nil {
			err = errors.Join(err, conn.Close())
		}
		return err
	})
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return e, nil
}

func (e *Exclusion) take() error {
	// What holds the lock after the transaction is the locking mode.
	for _, statement := range []string{"BEGIN EXCLUSIVE", "COMMIT"} {
		err := asOurselves(e.conn, func() error {
			_, err := e.conn.ExecContext(context.Background(), statement)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Conn returns the connection that holds the lock, for statements that read.
func (e *Exclusion) Conn() *sql.Conn { return e.conn }

// Fold moves all commits from FILE-wal into FILE, and leaves FILE-wal empty.
func (e *Exclusion) Fold() error {
	done, err := truncateWAL(e.conn)
	if err == nil && !done.complete {
		err = errHeldOff()
	}
	return err
}

// Close gives the file back. If it still has its name, FILE-shm goes: this connection did without, so it is of no use to anybody.
func (e *Exclusion) Close() error {
	if e.location.Holds() == nil {
		_ = os.Remove(e.location.path + "-shm")
	}
	return errors.Join(e.conn.Close(), e.pool.Close())
}

// IsDamaged reports whether err says that a file is no database, or one that cannot be read, because of its content or of the disk that
// it lies on.
func IsDamaged(err error) bool {
	return IsNotDatabase(err) || IsCorrupt(err) || IsTooBig(err) || errors.Is(err, ErrUnreadable) || errors.Is(err, ErrOversized) ||
		hasExtendedCode(err, sqlite3.ErrIoErrRead, sqlite3.ErrIoErrShortRead)
}
