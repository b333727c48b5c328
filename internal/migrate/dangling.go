package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// maxReferences bounds the memory that one reading takes: a file of a few megabytes may hold millions of rows that dangle.
const maxReferences = 100_000

// dangling counts the rows that refer to a row that is not there.
type dangling struct {
	found   map[reference]int
	most    int  // references to rows that are told apart
	counted bool // there were more: rows are only counted
}

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
	checkReferences = `SELECT rowid, parent, fkid FROM pragma_foreign_key_check(?1)`
)

// readDangling looks at all tables. It reads every row of those that have foreign keys, and tells at most so many apart.
func readDangling(ctx context.Context, q db.DBTX, most int) (dangling, error) {
	children, err := names(ctx, q, listChildren)
	if err != nil {
		return dangling{}, err
	}
	d := dangling{found: map[reference]int{}, most: most}
	for _, child := range children {
		switch err := d.read(ctx, q, child); {
		case sqlite.IsStatementError(err): // it refers to no table's key, so all of its rows dangle
			d.add(reference{table: sqltext.Lower(child)})
		case err != nil:
			return dangling{}, err
		}
	}
	return d, nil
}

func (d *dangling) read(ctx context.Context, q db.DBTX, child string) error {
	rows, err := q.QueryContext(ctx, checkReferences, child)
	if err != nil {
		return err
	}
	defer rows.Close()
	table, parents := sqltext.Lower(child), map[string]string{} // one copy of each name, however many rows have it
	for rows.Next() {
		r := reference{table: table}
		var parent string
		if err := rows.Scan(&r.row, &parent, &r.key); err != nil {
			return err
		}
		if _, ok := parents[parent]; !ok {
			parents[parent] = sqltext.Lower(parent)
		}
		r.parent = parents[parent]
		d.add(r)
	}
	return rows.Err()
}

func (d *dangling) add(r reference) {
	if d.counted {
		r.row = sql.NullInt64{}
	}
	d.found[r]++
	if !d.counted && len(d.found) > d.most {
		d.found, d.counted = d.grouped(reference.withoutRow), true
	}
}

// check returns ErrSet, naming the tables, if rows dangle that did not when d was read. altered are the tables that may have other
// names, rows of other numbers, or other foreign keys since. Of references from or to them only the sum must not have grown.
func (d dangling) check(ctx context.Context, q db.DBTX, altered map[string]bool) error {
	now, err := readDangling(ctx, q, d.most)
	if err != nil {
		return err
	}
	group := func(r reference) reference {
		if altered[r.table] || altered[r.parent] {
			r = reference{parent: r.parent}
		}
		if altered[r.parent] {
			r.parent = ""
		}
		if d.counted || now.counted {
			r = r.withoutRow()
		}
		return r
	}
	before := d.grouped(group)
	grown := map[reference]int{} // by tables
	for r, n := range now.grouped(group) {
		if more := n - before[r]; more > 0 {
			grown[r.tables()] += more
		}
	}
	if len(grown) == 0 {
		return nil
	}
	var found []string
	for r, more := range grown {
		if r.table != "" {
			found = append(found, fmt.Sprintf("%d in %s", more, r))
			continue
		}
		in := func(of reference) bool { return group(of) == r }
		found = append(found, named(more, d.among(in), now.among(in)))
	}
	slices.Sort(found)
	return refuse(ErrSet, "the migrations leave rows whose foreign keys refer to nothing: %s", strings.Join(found, ", "))
}

// named says in which tables a sum grew. Rows of a table that was renamed are both new and not: then it is one of these tables.
func named(more int, before, after map[reference]int) string {
	var each, names []string
	sum := 0
	for r, n := range after {
		if n -= before[r]; n > 0 {
			each, names, sum = append(each, fmt.Sprintf("%d in %s", n, r)), append(names, r.String()), sum+n
		}
	}
	if sum == more {
		slices.Sort(each)
		return strings.Join(each, ", ")
	}
	slices.Sort(names)
	return fmt.Sprintf("%d in %s", more, strings.Join(names, " or "))
}

// grouped adds up the references that group makes equal.
func (d dangling) grouped(group func(reference) reference) map[reference]int {
	sums := map[reference]int{}
	for r, n := range d.found {
		sums[group(r)] += n
	}
	return sums
}

// among adds up, by tables, the references that in picks.
func (d dangling) among(in func(reference) bool) map[reference]int {
	sums := map[reference]int{}
	for r, n := range d.found {
		if in(r) {
			sums[r.tables()] += n
		}
	}
	return sums
}

func (r reference) withoutRow() reference {
	r.row = sql.NullInt64{}
	return r
}

func (r reference) tables() reference { return reference{table: r.table, parent: r.parent} }

// String names the tables.
func (r reference) String() string {
	return fmt.Sprintf("%s (to %s)", sqltext.Quoted(r.table), sqltext.Quoted(r.parent))
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
