package tests

import (
	"context"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/db"
)

// Guards of the schema that have to be lifted before a file can be damaged in the way they guard against.
var (
	identityGuards = regexp.MustCompile(`_identity$|^changes_(delete|update)$|^registry_`)
	revisionGuards = regexp.MustCompile(`^(config|modules)_update$`)
	configGuards   = regexp.MustCompile(`_value$`)
	rowGuards      = regexp.MustCompile(identityGuards.String() + "|" + configGuards.String())
)

// withoutGuards runs statements while the triggers whose names match are gone. They come back as they were.
func withoutGuards(t testing.TB, ctx context.Context, q db.DBTX, guards *regexp.Regexp, statements ...string) {
	t.Helper()
	catalog, err := db.New().ListCatalog(ctx, q)
	require.NoError(t, err)
	var drop, restore []string
	for _, object := range catalog {
		if object.Kind == "trigger" && guards.MatchString(object.ObjectName) {
			drop = append(drop, "DROP TRIGGER "+object.ObjectName)
			restore = append(restore, object.Definition)
		}
	}
	require.NotEmpty(t, drop)
	for _, list := range [][]string{drop, statements, restore} {
		for _, statement := range list {
			_, err := q.ExecContext(ctx, statement)
			require.NoError(t, err, statement)
		}
	}
}

// sqliteDamage is withoutGuards on a connection of its own, which is closed again.
func sqliteDamage(t testing.TB, path string, guards *regexp.Regexp, statements ...string) {
	t.Helper()
	pool := sqliteOpen(t, path)
	withoutGuards(t, t.Context(), pool, guards, statements...)
	require.NoError(t, pool.Close())
}
