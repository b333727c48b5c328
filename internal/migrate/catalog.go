package migrate

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
)

// catalog is what a database holds, as far as the registry cares.
type catalog struct {
	tables   map[string][]column          // of the core's names only
	unique   map[string][]string          // table -> its unique indexes and primary key, of the core's tables only
	triggers map[string]map[string]string // table -> trigger -> definition, of the core's tables only
	others   []string                     // further tables and views
}

// column is a row of PRAGMA table_xinfo.
type column struct {
	name, kind   string
	notNull      int
	defaultValue sql.NullString
	primaryKey   int
	hidden       int
}

// readCatalog lists the database. coreTables says which tables are looked at closely.
func readCatalog(ctx context.Context, q db.DBTX, coreTables func(name string) bool) (catalog, error) {
	c := catalog{tables: map[string][]column{}, unique: map[string][]string{}, triggers: map[string]map[string]string{}}
	rows, err := db.New().ListCatalog(ctx, q)
	if err != nil {
		return catalog{}, err
	}
	for _, row := range rows {
		name, table := strings.ToLower(row.Name), strings.ToLower(row.TblName)
		switch {
		case row.Type == "table" && coreTables(name):
			if c.tables[name], err = readColumns(ctx, q, name); err != nil {
				return catalog{}, err
			}
			if c.unique[name], err = readUnique(ctx, q, name); err != nil {
				return catalog{}, err
			}
		case row.Type == "table" || row.Type == "view":
			c.others = append(c.others, name)
		case row.Type == "trigger" && coreTables(table):
			if c.triggers[table] == nil {
				c.triggers[table] = map[string]string{}
			}
			c.triggers[table][row.Name] = row.Definition
		}
	}
	return c, nil
}

func readColumns(ctx context.Context, q db.DBTX, table string) (columns []column, err error) {
	err = eachRow(ctx, q, fmt.Sprintf("PRAGMA table_xinfo(%q)", table), func(scan func(...any) error) error {
		var id int
		var c column
		err := scan(&id, &c.name, &c.kind, &c.notNull, &c.defaultValue, &c.primaryKey, &c.hidden)
		columns = append(columns, c)
		return err
	})
	return columns, err
}

// readUnique describes what REPLACE would remove other rows for: each unique index by its columns and how they compare.
// The names do not matter. An index that is not unique changes nothing, and is left out.
func readUnique(ctx context.Context, q db.DBTX, table string) (found []string, err error) {
	var names, kinds []string
	err = eachRow(ctx, q, fmt.Sprintf("PRAGMA index_list(%q)", table), func(scan func(...any) error) error {
		var seq, unique, partial int
		var name, origin string
		err := scan(&seq, &name, &unique, &origin, &partial)
		if unique == 1 {
			names, kinds = append(names, name), append(kinds, fmt.Sprintf("%s partial=%d", origin, partial))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		text := kinds[i]
		err := eachRow(ctx, q, fmt.Sprintf("PRAGMA index_xinfo(%q)", name), func(scan func(...any) error) error {
			var seq, id, descending, key int
			var column, collation sql.NullString
			err := scan(&seq, &id, &column, &descending, &collation, &key)
			if key == 1 {
				text += fmt.Sprintf(", %s %s", column.String, collation.String)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		found = append(found, text)
	}
	slices.Sort(found)
	return found, nil
}

func eachRow(ctx context.Context, q db.DBTX, pragma string, row func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, pragma)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// differences is what c lacks of want, or has otherwise, in words: tables with their columns, and triggers by their
// exact text. A trigger on a core table that is not in want counts too: it would act in the registry's name.
func (c catalog) differences(want catalog) []string {
	var found []string
	for _, table := range slices.Sorted(maps.Keys(want.tables)) {
		columns, ok := c.tables[table]
		switch {
		case !ok:
			found = append(found, fmt.Sprintf("table %s is missing", table))
		case !slices.Equal(columns, want.tables[table]):
			found = append(found, fmt.Sprintf("table %s has other columns", table))
		case !slices.Equal(c.unique[table], want.unique[table]):
			found = append(found, fmt.Sprintf("table %s has other unique indexes", table))
		}
		for _, name := range slices.Sorted(maps.Keys(want.triggers[table])) {
			definition, ok := c.triggers[table][name]
			switch {
			case !ok:
				found = append(found, fmt.Sprintf("trigger %s is missing", name))
			case definition != want.triggers[table][name]:
				found = append(found, fmt.Sprintf("trigger %s was altered", name))
			}
		}
		for _, name := range slices.Sorted(maps.Keys(c.triggers[table])) {
			if _, ok := want.triggers[table][name]; !ok {
				found = append(found, fmt.Sprintf("table %s has a foreign trigger %s", table, name))
			}
		}
	}
	return found
}
