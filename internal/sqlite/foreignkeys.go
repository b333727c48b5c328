package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
)

// WithoutForeignKeys switches the enforcement of foreign keys off on the writer, until restore is called. There must be no transaction
// on it, since the pragma does nothing inside one. If restore fails, the connection is given up, and the next one enforces them.
func WithoutForeignKeys(ctx context.Context, writer *sql.DB, w Wait) (restore func() error, err error) {
	set := func(ctx context.Context, pragma string) error {
		conn, err := lend(ctx, writer, w)
		if err != nil {
			return err
		}
		err = asOurselves(conn, func() error {
			_, err := conn.ExecContext(ctx, pragma)
			return err
		})
		if err != nil {
			_ = conn.Raw(func(any) error { return driver.ErrBadConn })
		}
		return errors.Join(err, conn.Close())
	}
	if err := set(ctx, "PRAGMA foreign_keys = OFF"); err != nil {
		return nil, err
	}
	return func() error { return set(context.WithoutCancel(ctx), "PRAGMA foreign_keys = ON") }, nil
}

// EnforcesForeignKeys reports whether the transaction's connection does.
func (tx *Tx) EnforcesForeignKeys() (enforced bool, err error) {
	err = tx.conn.QueryRowContext(context.Background(), "PRAGMA foreign_keys").Scan(&enforced)
	return enforced, err
}
