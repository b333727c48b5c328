package sqlite

import (
	"context"
	"database/sql"
)

// Scrub rewrites the whole database, so that nothing which was overwritten or deleted is left in its free pages or in its
// WAL. It needs a database in WAL mode or in memory, and no transaction on the writer. Where other connections hold it
// off for as long as w says, IsBusy holds: then nothing is certain.
func Scrub(ctx context.Context, writer *sql.DB, l Location, w Wait) error {
	if l.IsMemory() {
		return nil // nothing of it is in a file
	}
	conn, err := lend(ctx, writer, w)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := w.Retry(ctx, func() error { return vacuum(ctx, conn) }); err != nil {
		return err
	}
	return w.Retry(ctx, func() error {
		done, err := truncateWAL(conn)
		if err == nil && !done.truncated {
			return errHeldOff()
		}
		return err
	})
}

func vacuum(ctx context.Context, conn *sql.Conn) error {
	return asOurselves(conn, func() error {
		_, err := conn.ExecContext(ctx, "VACUUM")
		return err
	})
}

// KeepTempInMemory makes the writer keep in memory what it would otherwise put into temporary files, such as the pages that
// a statement changed, until release is called. There must be no transaction on it.
func KeepTempInMemory(ctx context.Context, writer *sql.DB, w Wait) (release func() error, err error) {
	set := func(ctx context.Context, where string) error {
		conn, err := lend(ctx, writer, w)
		if err != nil {
			return err
		}
		defer conn.Close()
		return asOurselves(conn, func() error {
			_, err := conn.ExecContext(ctx, "PRAGMA temp_store = "+where)
			return err
		})
	}
	if err := set(ctx, "MEMORY"); err != nil {
		return nil, err
	}
	return func() error { return set(context.WithoutCancel(ctx), "DEFAULT") }, nil
}
