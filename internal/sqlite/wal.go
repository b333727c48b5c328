package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/mattn/go-sqlite3"
)

// UseWAL switches the database to WAL, if it is not in WAL mode yet; a database in memory has none. It leaves the writer's
// descriptors of FILE-wal and FILE-shm open. It waits for locks as w says.
//
// A nil error means that the file itself says WAL. The pragma returns its row before it commits, and the driver drops the
// error of a statement that is given up after its row, so the row alone proves nothing.
func UseWAL(ctx context.Context, writer *sql.DB, l Location, w Wait) error {
	conn, err := lend(ctx, writer, w)
	if err != nil {
		return err
	}
	defer conn.Close()
	var mode string
	err = w.Retry(ctx, func() error { return queryRow(conn, "PRAGMA journal_mode = WAL", &mode) })
	if err != nil || l.IsMemory() {
		return err
	}
	err = w.Retry(ctx, func() error {
		var n int
		if err := queryRow(conn, "SELECT count(*) FROM sqlite_schema", &n); err != nil { // reads the file's header again
			return err
		}
		return queryRow(conn, "PRAGMA journal_mode", &mode)
	})
	if err != nil {
		return err
	}
	if !strings.EqualFold(mode, "wal") {
		return fmt.Errorf("journal mode stays %q: the file system or the SQLite library has no WAL", mode)
	}
	return nil
}

// Prove makes sure that the writer can write, and opens what it needs for that. Another connection's write lock is not waited
// for: it says nothing about this one.
func Prove(ctx context.Context, writer *sql.DB) error {
	tx, err := BeginWrite(ctx, writer, Wait{})
	if IsBusy(err) || errors.Is(err, ErrNoConnection) {
		return nil
	}
	if err != nil {
		return err
	}
	tx.Rollback()
	tx.Release()
	return nil
}

// queryRow runs a statement of ours that returns one row, and runs it to its end: an error after the row, such as that of
// the statement's own commit, would be lost otherwise.
func queryRow(conn *sql.Conn, query string, dest ...any) error {
	return asOurselves(conn, func() error {
		rows, err := conn.QueryContext(context.Background(), query)
		if err != nil {
			return err
		}
		defer rows.Close()
		found := false
		for rows.Next() {
			if err := rows.Scan(dest...); err != nil {
				return err
			}
			found = true
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if !found {
			return sql.ErrNoRows
		}
		return nil
	})
}

// checkpoint is what a checkpoint of the WAL did.
type checkpoint struct {
	truncated bool // the WAL is empty
	complete  bool // all of the WAL is in the file, which is all that a copy needs
}

// truncateWAL moves the WAL into the file and cuts it to nothing, as far as others let it. The pragma reports no error
// while a reader that still needs the WAL, or a writer, holds it off: its row tells.
func truncateWAL(conn *sql.Conn) (checkpoint, error) {
	var busy, frames, moved int
	if err := queryRow(conn, "PRAGMA wal_checkpoint(TRUNCATE)", &busy, &frames, &moved); err != nil {
		return checkpoint{}, err
	}
	return checkpoint{truncated: busy == 0, complete: busy == 0 || frames >= 0 && frames == moved}, nil
}

// errHeldOff returns the error of a checkpoint that readers, or another process that writes, held off.
func errHeldOff() error {
	return fmt.Errorf("readers hold off the checkpoint: %w", sqlite3.Error{Code: sqlite3.ErrBusy})
}

// Size returns the size of FILE in bytes, 0 if there is none.
func (l Location) Size() (int64, error) { return l.size("") }

// WALSize returns the size of FILE-wal in bytes, 0 if there is none.
func (l Location) WALSize() (int64, error) { return l.size("-wal") }

func (l Location) size(suffix string) (int64, error) {
	if l.IsMemory() {
		return 0, nil
	}
	info, err := os.Stat(l.path + suffix)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
