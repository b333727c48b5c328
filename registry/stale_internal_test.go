package registry

import (
	"context"
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/db"
)

// meanwhile runs something before the first single row is read.
type meanwhile struct {
	db.DBTX
	run func()
}

func (m *meanwhile) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if m.run != nil {
		m.run()
		m.run = nil
	}
	return m.DBTX.QueryRowContext(ctx, query, args...)
}

// A long value is read by itself, after its page. One that was rewritten in between is under the marker already: encrypting it
// once more would be a change, with a revision, that nobody made.
func TestAWalkLeavesOutWhatWasRewrittenSinceItsPage(t *testing.T) {
	ctx := t.Context()
	reg, err := Open(ctx, filepath.Join(t.TempDir(), "registry.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, reg.Close()) }()
	const marker = `"0123456789abcde` // what the JSON of a string may begin with as well
	long := strings.Repeat("x", staleShortValue)
	set := func(key, value string) {
		_, err := reg.SetConfig(ctx, key, value)
		require.NoError(t, err)
	}
	set("a", long)
	set("b", long)
	set("c", long)
	walk := &staleWalk{marker: marker}
	page, err := walk.next(ctx, &meanwhile{reg.ReadDB(), func() { set("a", marker[1:]+long) }})
	require.NoError(t, err)
	require.Equal(t, []staleEntry{{"b", `"` + long + `"`}, {"c", `"` + long + `"`}}, page)
}
