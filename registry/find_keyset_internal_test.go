package registry

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/migrate"
)

// recorded is a DBTX that writes down the statements that ask for a row.
type recorded struct {
	db.DBTX
	queries *[]string
}

func (r recorded) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	*r.queries = append(*r.queries, query)
	return r.DBTX.QueryRowContext(ctx, query, args...)
}

// An opening takes as long with a million entries as with one: without a key it asks whether there are any, and never what
// their values are, which reads them all.
func TestAnOpeningWithoutAKeyReadsNoValues(t *testing.T) {
	reg, err := Open(t.Context(), filepath.Join(t.TempDir(), "a.db"))
	require.NoError(t, err)
	defer reg.Close()
	_, err = reg.SetConfig(t.Context(), "k", 1)
	require.NoError(t, err)
	for keyed, reads := range map[bool]int{false: 0, true: 1} {
		var queries []string
		err = reg.readers.Do(t.Context(), func(conn *sql.Conn) error {
			found, err := findKeyset(t.Context(), recorded{conn, &queries}, migrate.Status{Version: keysetVersion}, keyed)
			require.True(t, found.entries)
			require.False(t, found.encrypted)
			return err
		})
		require.NoError(t, err)
		values := 0
		for _, query := range queries {
			if strings.Contains(query, "-- name: HasEncryptedConfig ") {
				values++
			}
		}
		require.Equal(t, reads, values, "with a key: %t", keyed)
	}
}
