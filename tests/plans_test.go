package tests

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// intendedPlans are the steps that read a whole table or sort it, and why that is right. A query that needs another one
// has to be written here first.
var intendedPlans = map[string]map[string]string{
	"ListModules": {
		"SCAN modules USING INDEX sqlite_autoindex_modules_1": "it returns all modules, in the index's order",
	},
	"ListMisnumberedModules": {
		"SCAN modules USING INDEX sqlite_autoindex_modules_1": "Verify looks at every module",
	},
	"ListMisnumberedConfig": {
		"SCAN config USING INDEX sqlite_autoindex_config_1": "Verify looks at every entry",
	},
	"ListUntypedModules": {
		"SCAN modules USING INDEX sqlite_autoindex_modules_1": "Verify looks at every module",
	},
	"ListUntypedConfig": {
		"SCAN config USING INDEX sqlite_autoindex_config_1": "Verify looks at every entry",
	},
	"CountConfig": {
		"SCAN config USING COVERING INDEX sqlite_autoindex_config_1": "it counts every entry, where somebody wants to see progress",
	},
	"HasConfig": {
		"SCAN config": "it stops at the first entry",
	},
	"CountStaleConfig": {
		"SCAN config": "Encrypt and RotateKeyset ask the table for rows that its index lacks",
	},
	"CountEncryptedConfig": {
		"SCAN config": "Decrypt asks the table for rows that its index lacks",
	},
	"HasEncryptedConfig": {
		"SCAN config": "an encrypted opening that is refused looks why",
	},
	"ListStaleMarkers": {
		"SCAN config":                  "a rotation looks at every entry",
		"USE TEMP B-TREE FOR DISTINCT": "a rotation looks at every entry; there are a few markers",
	},
	"ListStaleKeys": {
		"SCAN config USING INDEX sqlite_autoindex_config_1": "a rotation names the entries that it could not open",
	},
	"keyset_insert, statement 3": {
		"SCAN keyset": "it stops at the first row, and there is one at most",
	},
	"GetLogBounds": {
		"SCAN changes": "Verify counts the change log",
	},
	"ListMigrations": {
		"SCAN migrations USING INDEX sqlite_autoindex_migrations_1": "opening compares the whole ledger",
	},
	"MeasureCatalog": {
		"SCAN sqlite_schema": "opening measures the whole schema, which has no index",
		"SCAN (subquery-1)":  "opening measures the whole schema, which has no index",
	},
	"MeasureStatistics": {
		"SCAN sqlite_stat1": "opening measures the statistics, which have no index",
		"SCAN (subquery-1)": "opening measures the statistics, which have no index",
	},
	"ListSampleTables": {
		"SCAN sqlite_schema":           "an encryption looks for tables with samples; the schema has no index",
		"USE TEMP B-TREE FOR ORDER BY": "an encryption looks for tables with samples; there are three at most",
	},
	"ListCatalog": {
		"SCAN sqlite_schema":           "opening compares the whole schema, which has no index",
		"USE TEMP B-TREE FOR ORDER BY": "opening compares the whole schema, which has no index",
	},
}

// No query, and no trigger, walks through a table where an index would do: writes stay as fast as the registry grows.
func TestNoQueryScans(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	reg, err := registry.Open(t.Context(), path)
	require.NoError(t, err)
	fill(t, reg)
	require.NoError(t, reg.Close())
	sqliteExec(t, path, append([]string{"ANALYZE", "DELETE FROM sqlite_stat1"}, sampleTables...)...)

	statements := generatedQueries(t)
	for name, text := range triggerStatements(t, path) {
		statements[name] = text
	}
	used := map[string]bool{}
	for name, text := range statements {
		for _, step := range plan(t, path, text) {
			if !strings.HasPrefix(step, "SCAN ") && !strings.Contains(step, "TEMP B-TREE") {
				continue
			}
			if step == "SCAN CONSTANT ROW" {
				continue // a SELECT without a table
			}
			reason, ok := intendedPlans[name][step]
			if !ok {
				t.Errorf("%s: %q is not among the intended plans", name, step)
			}
			require.True(t, !ok || reason != "")
			used[name+step] = true
		}
	}
	for name, steps := range intendedPlans {
		for step := range steps {
			require.True(t, used[name+step], "%s: %q is intended and does not happen", name, step)
		}
	}
}

var parameter = regexp.MustCompile(`\?(\d+)`)

// plan is what SQLite would do, with NULL for each parameter.
func plan(t testing.TB, path, statement string) (steps []string) {
	t.Helper()
	parameters := 0
	for _, match := range parameter.FindAllStringSubmatch(statement, -1) {
		n, err := strconv.Atoi(match[1])
		require.NoError(t, err)
		parameters = max(parameters, n)
	}
	pool := sqliteOpen(t, path)
	defer pool.Close()
	rows, err := pool.Query("EXPLAIN QUERY PLAN "+statement, make([]any, parameters)...)
	require.NoError(t, err, statement)
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &step))
		steps = append(steps, step)
	}
	require.NoError(t, rows.Err())
	return steps
}

// generatedQueries are the query constants in db/, by the names of their methods.
func generatedQueries(t testing.TB) map[string]string {
	t.Helper()
	queries := map[string]string{}
	for _, file := range generatedFiles(t) {
		for _, decl := range file.Decls {
			decl, ok := decl.(*ast.GenDecl)
			if !ok || decl.Tok != token.CONST {
				continue
			}
			for _, spec := range decl.Specs {
				for _, value := range spec.(*ast.ValueSpec).Values {
					text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					require.NoError(t, err)
					header, statement, ok := strings.Cut(text, "\n")
					require.True(t, ok)
					name, _, _ := strings.Cut(strings.TrimPrefix(header, "-- name: "), " ")
					queries[name] = statement
				}
			}
		}
	}
	require.NotEmpty(t, queries)
	return queries
}

// generatedFiles are db's sources.
func generatedFiles(t testing.TB) (parsed []*ast.File) {
	t.Helper()
	paths, err := filepath.Glob("../db/*.go")
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		parsed = append(parsed, file)
	}
	return parsed
}

var (
	triggerText = regexp.MustCompile(`(?s)^CREATE TRIGGER .*? ON \w+\s+(?:WHEN (.*?)\s)?BEGIN(.*)END$`)
	rowColumn   = regexp.MustCompile(`\b(?:NEW|OLD)\.\w+`)
)

// triggerStatements are what the triggers run, with NULL for the columns of the row: SQLite leaves them out of the plan
// of the statement that fires them.
func triggerStatements(t testing.TB, path string) map[string]string {
	t.Helper()
	statements := map[string]string{}
	for _, row := range sqliteRows(t, path, "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'") {
		text, err := strconv.Unquote(row[1])
		require.NoError(t, err)
		match := triggerText.FindStringSubmatch(text)
		require.NotNil(t, match, text)
		name, err := strconv.Unquote(row[0])
		require.NoError(t, err)
		parts := strings.Split(match[2], ";")
		if match[1] != "" {
			parts = append(parts, "SELECT "+match[1])
		}
		for i, part := range parts {
			if part = strings.TrimSpace(part); part != "" && !strings.Contains(part, "RAISE(") {
				statements[fmt.Sprintf("%s, statement %d", name, i+1)] = rowColumn.ReplaceAllString(part, "NULL")
			}
		}
	}
	require.NotEmpty(t, statements)
	return statements
}
