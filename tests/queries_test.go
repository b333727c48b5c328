package tests

import (
	"context"
	"database/sql"
	"go/ast"
	"maps"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/schema"
)

// queryCase runs one generated query in a transaction that is rolled back, on what fill wrote. Its arguments differ from
// each other, so that two in each other's place would show in the result.
type queryCase func(t *testing.T, ctx context.Context, q *db.Queries, tx db.DBTX)

// Each generated query is executed, and takes its arguments in the order of its struct.
func TestGeneratedQueries(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	reg, err := registry.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { closeVerified(t, reg) })
	fill(t, reg)
	pool := sqliteOpen(t, path) // the registry's own transactions let nobody take its guards away
	_, err = pool.ExecContext(t.Context(), "PRAGMA foreign_keys = ON")
	require.NoError(t, err)
	cases := queryCases()
	maps.Copy(cases, keysetCases())
	methods := reflect.TypeOf(db.New())
	for i := range methods.NumMethod() {
		name := methods.Method(i).Name
		t.Run(name, func(t *testing.T) {
			run, ok := cases[name]
			require.True(t, ok, "this query has no case")
			delete(cases, name)
			tx, err := pool.BeginTx(t.Context(), nil)
			require.NoError(t, err)
			defer func() { require.NoError(t, tx.Rollback()) }()
			seen := &recorder{DBTX: tx}
			run(t, t.Context(), db.New(), seen)
			require.Contains(t, seen.names, name, "the case does not run its query")
		})
	}
	require.Empty(t, cases, "cases without a query")
}

// recorder remembers which generated queries went through it.
type recorder struct {
	db.DBTX
	names []string
}

func (r *recorder) record(query string) {
	name, _, _ := strings.Cut(strings.TrimPrefix(query, "-- name: "), " ")
	r.names = append(r.names, name)
}

func (r *recorder) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	r.record(query)
	return r.DBTX.ExecContext(ctx, query, args...)
}

func (r *recorder) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	r.record(query)
	return r.DBTX.QueryContext(ctx, query, args...)
}

func (r *recorder) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	r.record(query)
	return r.DBTX.QueryRowContext(ctx, query, args...)
}

// moment and momentText are a time, and how a column holds it.
var moment = schema.NewTimestamp(time.Date(2026, 5, 20, 12, 34, 56, 123456789, time.UTC))

const momentText = "2026-05-20T12:34:56.123456789+00:00"

// cells reads one row as text, NULL as "NULL".
func cells(t *testing.T, ctx context.Context, tx db.DBTX, query string, args ...any) []string {
	t.Helper()
	rows, err := tx.QueryContext(ctx, query, args...)
	require.NoError(t, err)
	defer rows.Close()
	require.True(t, rows.Next(), "no row")
	columns, err := rows.Columns()
	require.NoError(t, err)
	row, dst := make([]sql.NullString, len(columns)), make([]any, len(columns))
	for i := range row {
		dst[i] = &row[i]
	}
	require.NoError(t, rows.Scan(dst...))
	texts := make([]string, len(row))
	for i, cell := range row {
		texts[i] = "NULL"
		if cell.Valid {
			texts[i] = cell.String
		}
	}
	require.False(t, rows.Next(), "more than one row")
	require.NoError(t, rows.Err())
	return texts
}

func mustExec(t *testing.T, ctx context.Context, tx db.DBTX, statement string) {
	t.Helper()
	_, err := tx.ExecContext(ctx, statement)
	require.NoError(t, err)
}

// No generated signature or row hides a column's type.
func TestGeneratedCodeHasNoUntypedValues(t *testing.T) {
	for _, file := range generatedFiles(t) {
		for _, decl := range file.Decls {
			if gen, ok := decl.(*ast.GenDecl); ok && len(gen.Specs) == 1 {
				if spec, ok := gen.Specs[0].(*ast.TypeSpec); ok && spec.Name.Name == "DBTX" {
					continue // database/sql's own signatures
				}
			}
			ast.Inspect(decl, func(node ast.Node) bool {
				switch n := node.(type) {
				case *ast.InterfaceType:
					t.Errorf("%s: an interface type", decl)
				case *ast.Ident:
					require.NotEqual(t, "any", n.Name)
				}
				return true
			})
		}
	}
}
