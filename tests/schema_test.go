package tests

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// update writes the golden files anew: go test ./tests -run Golden -update
var update = flag.Bool("update", false, "write the golden files instead of comparing with them")

const schemaGolden = "testdata/schema.golden.sql"

// The schema is what others build on: their queries, and the guards by which the next program knows the file.
func TestSchemaIsTheGoldenOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	reg, err := registry.Open(t.Context(), path)
	require.NoError(t, err)
	require.NoError(t, reg.Close())
	found := describeSchema(t, path)
	if *update {
		require.NoError(t, os.WriteFile(schemaGolden, []byte(found), 0o644))
	}
	golden, err := os.ReadFile(schemaGolden)
	require.NoError(t, err)
	require.Equal(t, string(golden), found)
}

// A file that oxide-k began has the same columns and triggers, however it wrote its own two tables down.
func TestAnOxideKFileGetsTheSameSchema(t *testing.T) {
	golden, err := os.ReadFile(schemaGolden)
	require.NoError(t, err)
	for _, fixture := range []string{oxidePlain, oxideEncrypted} {
		path := filepath.Join(t.TempDir(), "x.db")
		copyFile(t, fixture, path)
		if fixture == oxideEncrypted {
			sqliteExec(t, path, "DELETE FROM config") // opening one with encrypted values is another suite's subject
		}
		reg, err := registry.Open(t.Context(), path)
		require.NoError(t, err)
		require.NoError(t, reg.Close())
		require.Equal(t, withoutTables(string(golden)), withoutTables(describeSchema(t, path)))
	}
}

// describeSchema is the text of each schema object, followed by the columns of the tables as SQLite understands them.
func describeSchema(t testing.TB, path string) string {
	t.Helper()
	var b strings.Builder
	pool := sqliteOpen(t, path)
	rows, err := pool.Query("SELECT type, name, coalesce(sql, '') FROM sqlite_schema ORDER BY type, name")
	require.NoError(t, err)
	var tables []string
	for rows.Next() {
		var kind, name, text string
		require.NoError(t, rows.Scan(&kind, &name, &text))
		fmt.Fprintf(&b, "-- %s %s\n", kind, name)
		if text != "" {
			b.WriteString(text + ";\n")
		}
		if kind == "table" {
			tables = append(tables, name)
		}
	}
	require.NoError(t, rows.Err())
	require.NoError(t, pool.Close())
	for _, table := range tables {
		fmt.Fprintf(&b, "-- columns of %s: cid, name, type, not null, default, primary key, hidden\n", table)
		for _, column := range sqliteRows(t, path, fmt.Sprintf("PRAGMA table_xinfo(%q)", table)) {
			fmt.Fprintf(&b, "--   %s\n", strings.Join(column, " "))
		}
	}
	return b.String()
}

// withoutTables is a description without the texts of the tables: their columns stay.
func withoutTables(description string) string {
	var kept []string
	skip := false
	for _, line := range strings.Split(description, "\n") {
		if strings.HasPrefix(line, "-- ") {
			skip = strings.HasPrefix(line, "-- table ")
		}
		if !skip {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\n")
}
