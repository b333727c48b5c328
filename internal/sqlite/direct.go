package sqlite

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Direct is a db.DBTX for the queries that are run all the time. It goes straight to the driver, since what database/sql adds
// (Rows, conversions, a lock for each step) is a fifth of a point read. It serves queries that return no rows, and those that
// return one row of one column: only a database can make a *sql.Row, so the row that it hands to the generated function holds
// nothing, and Text or Int64 gives the column. Others must not use the connection meanwhile.
type Direct struct {
	conn  *sql.Conn
	value driver.Value
	err   error
}

// NewDirect is for one query after the other.
func NewDirect(conn *sql.Conn) *Direct { return &Direct{conn: conn} }

// ExecContext implements db.DBTX.
func (d *Direct) ExecContext(ctx context.Context, query string, args ...any) (result sql.Result, err error) {
	named, err := namedValues(args)
	if err != nil {
		return nil, err
	}
	err = d.conn.Raw(func(c any) error {
		own := c.(*conn)
		own.noSetting = true // the registry's own queries set no pragma
		result, err = own.exec(ctx, query, named)
		return err
	})
	return result, err
}

// QueryRowContext implements db.DBTX. Text or Int64 must follow; what the row gives is of no meaning.
func (d *Direct) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	named, err := namedValues(args)
	if err != nil {
		d.err = err
		return emptyRow()
	}
	d.err = d.conn.Raw(func(c any) (err error) {
		d.value, err = firstColumn(ctx, c.(*conn), query, named)
		return err
	})
	return emptyRow()
}

// QueryContext implements db.DBTX, and is not for use.
func (d *Direct) QueryContext(context.Context, string, ...any) (*sql.Rows, error) {
	return nil, errors.ErrUnsupported
}

// PrepareContext implements db.DBTX, and is not for use.
func (d *Direct) PrepareContext(context.Context, string) (*sql.Stmt, error) {
	return nil, errors.ErrUnsupported
}

// Text is the column that QueryRowContext found, sql.ErrNoRows where there was no row.
func (d *Direct) Text() (string, error) {
	if d.err != nil {
		return "", d.err
	}
	switch v := d.value.(type) {
	case string:
		return v, nil
	case []byte: // from who stored a blob
		return string(v), nil
	}
	return "", fmt.Errorf("a column of %T where text should be", d.value)
}

// Int64 is Text for an integer.
func (d *Direct) Int64() (int64, error) {
	if d.err != nil {
		return 0, d.err
	}
	if v, ok := d.value.(int64); ok {
		return v, nil
	}
	return 0, fmt.Errorf("a column of %T where an integer should be", d.value)
}

func firstColumn(ctx context.Context, c *conn, query string, args []driver.NamedValue) (_ driver.Value, err error) {
	c.noSetting = true // the registry's own queries set no pragma
	rows, err := c.query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closing := rows.Close(); err == nil {
			err = closing
		}
	}()
	var row [1]driver.Value
	switch err := rows.Next(row[:]); {
	case errors.Is(err, io.EOF):
		return nil, sql.ErrNoRows
	case err != nil:
		return nil, err
	}
	return row[0], nil
}

// namedValues are args as the driver takes them.
func namedValues(args []any) ([]driver.NamedValue, error) {
	named := make([]driver.NamedValue, len(args))
	for i, arg := range args {
		value, err := driver.DefaultParameterConverter.ConvertValue(arg)
		if err != nil {
			return nil, fmt.Errorf("argument %d: %w", i+1, err)
		}
		named[i] = driver.NamedValue{Ordinal: i + 1, Value: value}
	}
	return named, nil
}

// emptyRow is a row whose Scan fails.
var emptyRow = sync.OnceValue(func() *sql.Row { return ErrorRow(errors.New("the column is in the Direct")) })

// ErrorRow is a row whose Scan gives err. Only a database can make a *sql.Row, so this is one that refuses to connect.
func ErrorRow(err error) *sql.Row {
	pool := sql.OpenDB(refusing{err})
	defer pool.Close()
	return pool.QueryRowContext(context.Background(), "")
}

type refusing struct{ err error }

func (c refusing) Connect(context.Context) (driver.Conn, error) { return nil, c.err }
func (c refusing) Driver() driver.Driver                        { return nil }
