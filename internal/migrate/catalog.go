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
	c := catalog{tables: map[string][]column{}, triggers: map[string]map[string]string{}}
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

func readColumns(ctx context.Context, q db.DBTX, table string) (_ []column, err error) {
	rows, err := q.QueryContext(ctx, fmt.Sprintf("PRAGMA table_xinfo(%q)", table))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var columns []column
	for rows.Next() {
		var id int
		var c column
		if err := rows.Scan(&id, &c.name, &c.kind, &c.notNull, &c.defaultValue, &c.primaryKey, &c.hidden); err != nil {
			return nil, err
		}
		columns = append(columns, c)
	}
	return columns, rows.Err()
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
