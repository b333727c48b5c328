package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// WithoutForeignKeys switches the enforcement of foreign keys off on the writer, until restore is called. There must be no transaction
// on it, since the pragma does nothing inside one.
func WithoutForeignKeys(ctx context.Context, writer *sql.DB, w Wait) (restore func() error, err error) {
	return setWriter(ctx, writer, w, "PRAGMA foreign_keys = OFF", "PRAGMA foreign_keys = ON")
}

// EnforcesForeignKeys reports whether foreign keys are enforced in the transaction.
func (tx *Tx) EnforcesForeignKeys() (bool, error) {
	direct := NewDirect(tx.conn)
	_ = direct.QueryRowContext(context.Background(), "PRAGMA foreign_keys")
	on, err := direct.Int64()
	return on != 0, err
}

// setWriter runs a pragma on the writer, on which there must be no transaction, until restore is called, which runs another. If that
// fails the connection is given up, and the next one is as all are.
func setWriter(ctx context.Context, writer *sql.DB, w Wait, now, afterwards string) (restore func() error, err error) {
	set := func(ctx context.Context, w Wait, pragma string) error {
		conn, err := lend(ctx, writer, w)
		if err != nil {
			return err
		}
		err = asOurselves(conn, func() error {
			_, err := conn.ExecContext(ctx, pragma)
			return err
		})
		if err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // which closes it
			return err
		}
		return conn.Close()
	}
	if err := set(ctx, w, now); err != nil {
		return nil, err
	}
	return func() error { return set(context.Background(), Wait{Limit: w.Limit}, afterwards) }, nil
}
