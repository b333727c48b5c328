package sqlite

import (
	"context"
	"database/sql/driver"
	"sync"

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
// first statement is compiled, which takes seconds if somebody put 100,000 views there. The connection is left to a goroutine
// then, which closes it as soon as SQLite lets go. There is at most one such goroutine for each path: whoever comes next waits for it.
func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	if ctx.Done() == nil || c.settings.Location.IsMemory() {
		return c.open()
	}
	leave, err := enterPath(ctx, c.settings.Location.path)
	if err != nil {
		return nil, err
	}
	type result struct {
		conn driver.Conn
		err  error
	}
	opened := make(chan result)
	go func() {
		defer leave()
		conn, err := c.open()
		select {
		case opened <- result{conn, err}:
		case <-ctx.Done():
			if err == nil {
				_ = conn.Close()
			}
		}
	}()
	select {
	case r := <-opened:
		return r.conn, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
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

func (c *connector) open() (driver.Conn, error) {
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
	return newConn(raw, c.settings), nil
}

// paths has a token for each path that somebody is connecting to, with a context that may end. It belongs to the process, since the
// goroutine that it is about outlives the Open that began it.
var paths sync.Map // string -> chan struct{}

// enterPath waits for the token of a path. leave gives it back.
func enterPath(ctx context.Context, path string) (leave func(), err error) {
	for {
		mine := make(chan struct{})
		other, taken := paths.LoadOrStore(path, mine)
		if !taken {
			return func() {
				paths.Delete(path)
				close(mine)
			}, nil
		}
		select {
		case <-other.(chan struct{}):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}
