package sqlite

import (
	"context"
	"database/sql"
	"time"
)

// Scrub rewrites the whole database, so that nothing which was overwritten or deleted is left in its free pages or in its
// WAL. It needs a database in WAL mode or in memory, and no transaction on the writer. If other connections hold it
// off for as long as w says, IsBusy holds: then nothing is certain.
func Scrub(ctx context.Context, writer *sql.DB, l Location, w Wait) error {
	if l.IsMemory() {
		return nil // nothing of it is in a file
	}
	left, err := Vacuum(ctx, writer, l, w)
	if err != nil {
		return err
	}
	return Truncate(ctx, writer, left)
}

// Vacuum rewrites the database without its free pages, by way of a temporary file beside it. In WAL mode the new pages are
// in the WAL at first, and readers go on. ctx stops it, and leaves the database as it was. It needs no transaction on the
// writer, and waits for its turn and the locks of others as w says. It returns what is left of that: the work itself does not count.
func Vacuum(ctx context.Context, writer *sql.DB, l Location, w Wait) (left Wait, err error) {
	w = w.Start()
	var worked time.Duration
	err = WithTempFiles(ctx, writer, l, w, func() error {
		conn, err := lend(ctx, writer, w)
		if err != nil {
			return err
		}
		defer conn.Close()
		return w.Retry(ctx, func() error {
			began := time.Now()
			defer func() { worked = time.Since(began) }()
			return asOurselves(conn, func() error {
				_, err := conn.ExecContext(ctx, "VACUUM")
				return err
			})
		})
	})
	return Wait{Limit: min(w.Limit, w.Left()+worked)}, err
}
