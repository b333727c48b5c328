package sqlite

import (
	"context"
	"database/sql/driver"

	"github.com/mattn/go-sqlite3"
)

// connector opens connections without a driver name in database/sql's global table.
type connector struct {
	settings Settings
	dsn      string
	present  string   // if this is there, an error that says that the file is missing is wrong
	pragmas  []string // run on each new connection: through a pool they would reach only one
}

// Connect implements driver.Connector. It returns if the context ends, although SQLite does not: it parses the whole schema when the
// first statement is compiled, which takes a while if that is large.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if ctx.Done() == nil || c.settings.Location.IsMemory() {
		return c.open()
	}
	return abandonable(ctx, c.open, func(conn driver.Conn, err error) {
		if err == nil {
			_ = conn.Close()
		}
	})
}

// Driver implements driver.Connector.
func (c *connector) Driver() driver.Driver {
	return &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		for _, pragma := range c.pragmas {
			if _, err := conn.Exec(pragma, nil); err != nil {
				return err
			}
		}
		return nil
	}}
}

func (c *connector) open() (_ driver.Conn, err error) {
	// It counts before the file is opened, and looks for a restore's marker after that (join). The restore places its marker before
	// it counts: one of the two sees the other.
	leave := c.settings.enterFile()
	defer func() {
		if err != nil {
			leave()
		}
	}()
	raw, err := c.settings.Location.join(func() (*sqlite3.SQLiteConn, error) {
		raw, err := c.Driver().Open(c.dsn)
		if err != nil && isWronglyMissing(err, c.present) {
			raw, err = c.Driver().Open(c.dsn)
		}
		if err != nil {
			return nil, withCause(err, c.settings, c.present)
		}
		return raw.(*sqlite3.SQLiteConn), nil
	})
	if err != nil {
		return nil, err
	}
	conn := newConn(raw, c.settings)
	conn.leave = leave
	return conn, nil
}

// abandonable returns what f does, or the context's error if that ends before. f is left to its goroutine then, and late gets what it
// returns.
func abandonable[T any](ctx context.Context, f func() (T, error), late func(T, error)) (T, error) {
	type result struct {
		value T
		err   error
	}
	returned := make(chan result)
	go func() {
		value, err := f()
		select {
		case returned <- result{value, err}:
		case <-ctx.Done():
			late(value, err)
		}
	}()
	select {
	case r := <-returned:
		return r.value, r.err
	case <-ctx.Done():
		return result{}.value, ctx.Err()
	}
}
