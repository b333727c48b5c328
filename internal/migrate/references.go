package migrate

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// listReferences finds the foreign keys of all tables. Names are bound, never part of a statement's text.
const listReferences = `SELECT s.name, f.id, f.seq, f."table", f."to"
FROM sqlite_schema AS s, pragma_foreign_key_list(s.name) AS f
WHERE lower(s.type) = 'table' ORDER BY s.name, f.id, f.seq`

// foreignReferences returns, in words, the foreign keys on core tables that no registry allows: all but those to modules(id). A
// foreign key acts in the name of whoever changes the row that it refers to: it can delete rows, or bring them back.
func foreignReferences(ctx context.Context, q db.DBTX, isCore func(name string) bool) (found []string, err error) {
	rows, err := q.QueryContext(ctx, listReferences)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var table, parent string
		var id, position int
		var column sql.NullString
		if err := rows.Scan(&table, &id, &position, &parent, &column); err != nil {
			return nil, err
		}
		to := sqltext.Lower(parent)
		if !isCore(to) {
			continue
		}
		toID := !column.Valid || sqltext.Lower(column.String) == "id"
		if to != oxideTable || position > 0 || !toID {
			found = append(found, fmt.Sprintf("table %s has a foreign key to %s", sqltext.Quoted(table), to))
		}
	}
	return found, rows.Err()
}
