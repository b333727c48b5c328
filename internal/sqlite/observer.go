package sqlite

import (
	"context"
	"database/sql"
	"errors"
)

// Observer is a connection that notices the commits of all others, of other processes too. SQLite tells a connection of
// them where it is in no transaction, and never of its own: so this one reads only, statement by statement. It is not safe
// for concurrent use.
type Observer struct {
	pool    *sql.DB // of this connection alone: those who hold all others do not make it blind
	conn    *sql.Conn
	version int64 // SQLite's count of others' commits, as this connection saw it last
}

// Observe opens an observer.
func (r *Readers) Observe(ctx context.Context) (*Observer, error) {
	pool := sql.OpenDB(r.connector)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	return &Observer{pool: pool, conn: conn}, nil
}

// Conn is the connection, for reading. What is read must be closed again.
func (o *Observer) Conn() *sql.Conn { return o.conn }

// Moved reports whether anybody else has committed since the last call. The first call says yes.
func (o *Observer) Moved() (bool, error) {
	var version int64
	if err := o.conn.QueryRowContext(context.Background(), "PRAGMA data_version").Scan(&version); err != nil {
		return false, err
	}
	moved := version != o.version
	o.version = version
	return moved, nil
}

// Close closes the connection.
func (o *Observer) Close() error { return errors.Join(o.conn.Close(), o.pool.Close()) }
