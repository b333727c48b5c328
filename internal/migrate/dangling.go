package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// dangling counts the rows that refer to a row that is not there.
type dangling map[reference]int

// reference is where a row of a table refers to.
type reference struct {
	table, parent string // in lowercase
	key           int64  // which of the table's foreign keys
	row           sql.NullInt64
}

const (
	listChildren = `SELECT DISTINCT s.name FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) WHERE lower(s.type) = 'table'
ORDER BY s.name`
	// checkReferences finds the rows of one table. (If SQLite cannot check one table at all, it says nothing of the others either.)
	checkReferences = `SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check(?1)`
)

// readDangling looks at all tables. It reads every row of those that have foreign keys.
func readDangling(ctx context.Context, q db.DBTX) (dangling, error) {
	children, err := names(ctx, q, listChildren)
	if err != nil {
		return nil, err
	}
	found := dangling{}
	for _, child := range children {
		switch err := found.read(ctx, q, child); {
		case sqlite.IsStatementError(err): // it refers to no table's key, so all of its rows dangle
			found[reference{table: sqltext.Lower(child)}]++
		case err != nil:
			return nil, err
		}
	}
	return found, nil
}

func (d dangling) read(ctx context.Context, q db.DBTX, table string) error {
	rows, err := q.QueryContext(ctx, checkReferences, table)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var r reference
		if err := rows.Scan(&r.table, &r.row, &r.parent, &r.key); err != nil {
			return err
		}
		r.table, r.parent = sqltext.Lower(r.table), sqltext.Lower(r.parent)
		d[r]++
	}
	return rows.Err()
}

// check returns ErrSet, naming the tables, if rows dangle that did not when d was read. In a table that was made anew rows have other
// numbers than before: there it is the count of those that dangle that must not have grown.
func (d dangling) check(ctx context.Context, q db.DBTX, madeAnew func(table string) bool) error {
	now, err := readDangling(ctx, q)
	if err != nil {
		return err
	}
	before, after := d.numbered(madeAnew), now.numbered(madeAnew)
	tables := map[string]int{}
	for r, n := range after {
		if more := n - before[r]; more > 0 {
			tables[fmt.Sprintf("%s (to %s)", sqltext.Quoted(r.table), sqltext.Quoted(r.parent))] += more
		}
	}
	if len(tables) == 0 {
		return nil
	}
	var found []string
	for _, table := range slices.Sorted(maps.Keys(tables)) {
		found = append(found, fmt.Sprintf("%d in %s", tables[table], table))
	}
	return refuse(ErrSet, "the migrations leave rows whose foreign keys refer to nothing: %s", strings.Join(found, ", "))
}

// numbered returns d without the numbers of rows and of foreign keys in tables in which they mean nothing.
func (d dangling) numbered(madeAnew func(table string) bool) dangling {
	counted := dangling{}
	for r, n := range d {
		if madeAnew(r.table) {
			r.row, r.key = sql.NullInt64{}, 0
		}
		counted[r] += n
	}
	return counted
}

func names(ctx context.Context, q db.DBTX, query string) (found []string, err error) {
	rows, err := q.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		found = append(found, name)
	}
	return found, rows.Err()
}
