package migrate

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/internal/sqltext"
)

// catalog is what a database's schema holds. Names are in lowercase, as SQLite compares them.
type catalog struct {
	tables   map[string]string            // core table -> definition
	indexes  map[string]map[string]string // core table -> index -> definition, "" for an automatic one
	triggers map[string]map[string]string // core table -> trigger -> definition
	others   []string                     // further tables and views
	sqlites  []string                     // SQLite's own tables
	strange  []string                     // what no registry holds, in words
	tooMuch  string                       // why nothing else of it was read, in words
}

// schemaRoot is the page of the schema itself.
const schemaRoot = 1

// readCatalog lists the database. isCore says which tables are looked at closely.
//
// Every row is an attacker's input. SQLite takes the definition of a row if its type, name and table are those that the definition
// says, without regard to case, each up to its first NUL.
func readCatalog(ctx context.Context, q db.DBTX, isCore func(name string) bool) (c catalog, err error) {
	c = catalog{
		tables: map[string]string{}, indexes: map[string]map[string]string{}, triggers: map[string]map[string]string{},
	}
	if c.tooMuch, err = measure(ctx, q); err != nil || c.tooMuch != "" {
		return c, err
	}
	rows, err := db.New().ListCatalog(ctx, q)
	if err != nil {
		return catalog{}, err
	}
	names, roots := map[[2]string]bool{}, map[int64]bool{schemaRoot: true}
	for _, row := range rows {
		kind, name, table := row.Kind, sqltext.Lower(row.ObjectName), sqltext.Lower(row.TableName)
		if strings.ContainsRune(kind+name+table+row.Definition, 0) || !isAsSQLiteWrites(row) {
			c.isStrange("%s is not written as SQLite writes it", sqltext.Quoted(row.ObjectName))
			continue
		}
		if names[[2]string{kind, name}] {
			c.isStrange("there are two of %s", sqltext.Quoted(row.ObjectName))
		}
		names[[2]string{kind, name}] = true
		if row.Root != 0 && roots[row.Root] {
			c.isStrange("%s shares its pages with something else", sqltext.Quoted(row.ObjectName))
		}
		roots[row.Root] = true
		c.add(kind, name, table, row, isCore)
	}
	if slices.Contains(c.sqlites, "sqlite_stat1") {
		err = c.measureStatistics(ctx, q)
	}
	return c, err
}

// measureStatistics looks whether the statistics, which every connection reads, are of a size that SQLite writes.
func (c *catalog) measureStatistics(ctx context.Context, q db.DBTX) error {
	const maxRows, maxText = 2 * maxObjects, 4 << 10
	size, err := db.New().MeasureStatistics(ctx, q, maxRows+1)
	if err == nil && (size.Entries > maxRows || size.Largest > maxText) {
		c.isStrange("sqlite_stat1 has %d rows, the longest of %d bytes: run ANALYZE, or DROP TABLE sqlite_stat1", size.Entries, size.Largest)
	}
	return err
}

// isAsSQLiteWrites reports whether the columns of a row have the types that SQLite gives them, and its kind is in lowercase. SQLite reads
// a TABLE like a table, and leaves it out when it copies the database (VACUUM).
func isAsSQLiteWrites(row db.ListCatalogRow) bool {
	return slices.Contains([]string{"table", "index", "view", "trigger"}, row.Kind) &&
		(row.Types == "text text text integer text" || row.Types == "text text text integer null" && row.Kind == "index")
}

// Limits of a schema.
const (
	maxObjects    = 20_000
	maxSchemaSize = 32 << 20 // bytes
)

// measure returns what of a schema exceeds the limits, in words.
func measure(ctx context.Context, q db.DBTX) (tooMuch string, err error) {
	size, err := db.New().MeasureCatalog(ctx, q, maxObjects+1)
	switch {
	case err != nil:
		return "", err
	case size.Objects > maxObjects:
		return fmt.Sprintf("there are more than %d tables, indexes, views and triggers", maxObjects), nil
	case size.Size > maxSchemaSize:
		return fmt.Sprintf("the definitions of tables, indexes, views and triggers take %d bytes, at most %d are allowed",
			size.Size, maxSchemaSize), nil
	case size.Largest > sqlite.MaxDefinition:
		return fmt.Sprintf("the definition of a table, an index, a view or a trigger takes %d bytes, at most %d are allowed",
			size.Largest, sqlite.MaxDefinition), nil
	}
	return "", nil
}

func (c *catalog) add(kind, name, table string, row db.ListCatalogRow, isCore func(name string) bool) {
	switch {
	case kind == "table" && isCore(name):
		c.tables[name] = row.Definition
	case kind == "index" && isCore(table):
		put(c.indexes, table, name, row.Definition)
	case kind == "trigger" && isCore(table):
		put(c.triggers, table, name, row.Definition)
	case kind == "table" && sqlitesOwn[name] != "" && sqltext.Equal(row.Definition, sqlitesOwn[name]):
		c.sqlites = append(c.sqlites, name)
	case kind == "index" && row.Definition == "" && isReserved(name) && !isReserved(table): // an automatic one
	case isReserved(name), isReserved(table):
		c.isStrange("%s takes a name that is SQLite's own", sqltext.Quoted(row.ObjectName))
	case kind == "view" && isCore(name):
		c.isStrange("view %s takes a name of the registry's", name)
	case kind == "table", kind == "view":
		c.others = append(c.others, name)
	}
}

func (c *catalog) isStrange(format string, args ...any) {
	c.strange = append(c.strange, fmt.Sprintf(format, args...))
}

func put(in map[string]map[string]string, table, name, definition string) {
	if in[table] == nil {
		in[table] = map[string]string{}
	}
	in[table][name] = definition
}

// sqlitesOwn are the tables that SQLite makes beside a program's (sqlite.org/fileformat2.html, sections 2.6.2 to 2.6.6), as it defines
// them. It reads some of them with each schema: one with a generated column would be code that runs at each opening.
var sqlitesOwn = map[string]string{
	"sqlite_sequence": "CREATE TABLE sqlite_sequence(name,seq)",
	"sqlite_stat1":    "CREATE TABLE sqlite_stat1(tbl,idx,stat)",
	"sqlite_stat2":    "CREATE TABLE sqlite_stat2(tbl,idx,sampleno,sample)",
	"sqlite_stat3":    "CREATE TABLE sqlite_stat3(tbl,idx,neq,nlt,ndlt,sample)",
	"sqlite_stat4":    "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)",
}

// isReserved reports whether a name is SQLite's to give. A table with the name of a pragma's function would be asked in its place.
func isReserved(name string) bool {
	return strings.HasPrefix(name, "sqlite_") || strings.HasPrefix(name, "pragma_")
}

// differences returns what c lacks of want, has otherwise, or has too much, in words: the definitions of tables, indexes and
// triggers. What stands on a core table and is not in want counts too: it would act in the registry's name.
func (c catalog) differences(want catalog) []string {
	if c.tooMuch != "" {
		return []string{c.tooMuch}
	}
	found := slices.Clone(c.strange)
	for _, table := range slices.Sorted(maps.Keys(want.tables)) {
		definition, ok := c.tables[table]
		switch {
		case !ok:
			found = append(found, fmt.Sprintf("table %s is missing", table))
		case !sameTable(table, definition, want.tables[table]):
			found = append(found, fmt.Sprintf("table %s is defined otherwise than its migrations define it", table))
		}
		found = append(found, missing("index", table, c.indexes[table], want.indexes[table])...)
		found = append(found, missing("trigger", table, c.triggers[table], want.triggers[table])...)
	}
	for _, table := range slices.Sorted(maps.Keys(c.tables)) {
		if _, ok := want.tables[table]; !ok {
			found = append(found, fmt.Sprintf("table %s takes a name of the registry's", table))
		}
	}
	const shown = 20
	if len(found) > shown {
		found = append(found[:shown], fmt.Sprintf("and %d more", len(found)-shown))
	}
	return found
}

// missing compares the indexes or the triggers of a core table.
func missing(kind, table string, have, want map[string]string) (found []string) {
	for _, name := range slices.Sorted(maps.Keys(want)) {
		switch definition, ok := have[name]; {
		case !ok:
			found = append(found, fmt.Sprintf("%s %s is missing", kind, name))
		case definition != want[name]:
			found = append(found, fmt.Sprintf("%s %s was altered", kind, name))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[name]; !ok && !(kind == "index" && isHarmlessIndex(table, have[name])) {
			found = append(found, fmt.Sprintf("table %s has a foreign %s %s", table, kind, sqltext.Quoted(name)))
		}
	}
	return found
}

// oxideTables are the tables that oxide-k's kernel makes itself, with their columns.
var oxideTables = map[string][]string{
	"modules": {"id", "name", "version", "kind", "state", "description", "updated_at", "revision"},
	"config":  {"key", "value", "updated_at", "revision"},
}

// sameTable reports whether a table is defined as want says: to the letter, or, if oxide-k's kernel wrote it, token by token.
func sameTable(table, definition, want string) bool {
	if _, ok := oxideTables[table]; ok {
		return sqltext.Equal(definition, want)
	}
	return definition == want
}

// isHarmlessIndex reports whether an index of a stranger's on one of oxide-k's tables only makes that kernel's queries faster: a plain
// one, not unique, of bare columns. All others are code that runs at each write, or forbid some.
func isHarmlessIndex(table, definition string) bool {
	tokens := sqltext.Tokens(definition)
	for i, token := range tokens {
		tokens[i] = sqltext.Lower(unquoted(token))
	}
	if len(tokens) < 8 || !slices.Equal(tokens[:2], []string{"create", "index"}) ||
		!slices.Equal(tokens[3:6], []string{"on", table, "("}) || tokens[len(tokens)-1] != ")" {
		return false
	}
	for column := range splitAt(tokens[6:len(tokens)-1], ",") {
		directed := len(column) == 2 && (column[1] == "asc" || column[1] == "desc")
		if len(column) != 1 && !directed || !slices.Contains(oxideTables[table], column[0]) {
			return false
		}
	}
	return true
}

// unquoted returns the name that a token stands for.
func unquoted(token string) string {
	if last := len(token) - 1; last > 0 && strings.ContainsRune("\"`[", rune(token[0])) {
		return token[1:last]
	}
	return token
}

func splitAt(tokens []string, separator string) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for {
			at := slices.Index(tokens, separator)
			if at < 0 {
				yield(tokens)
				return
			}
			if !yield(tokens[:at]) {
				return
			}
			tokens = tokens[at+1:]
		}
	}
}
