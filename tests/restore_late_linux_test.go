package tests

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/stage"
	"github.com/oxide-k/stateregistry/registry"
)

// Somebody opens a file that cannot be locked when the restore has looked already, and before its marker is there: it looks again.
func TestARestoreFindsWhoOpenedTheFileBeforeItsMarker(t *testing.T) {
	for _, suffix := range []string{"", "-wal"} {
		path, backup := backedUp(t, t.TempDir(), 1)
		wreck := []byte(strings.Repeat("wreck", 2000))
		require.NoError(t, os.WriteFile(path, wreck, 0o600))
		require.NoError(t, os.WriteFile(path+"-wal", wreck, 0o600))
		before := contents(t, path)
		var late *os.File
		ctx := stage.With(t.Context(), func(step string) (err error) {
			if step == "place the marker" {
				late, err = os.Open(path + suffix)
			}
			return err
		})
		_, err := registry.Restore(ctx, backup, path, registry.WithRevisionAbove(0))
		require.ErrorIs(t, err, registry.ErrBusy, suffix)
		require.Equal(t, before, contents(t, path), suffix)
		require.NoFileExists(t, path+"-restoring", suffix)
		require.NoError(t, late.Close())
		report, err := registry.Restore(t.Context(), backup, path, registry.WithRevisionAbove(0))
		require.NoError(t, err, suffix)
		require.NotEmpty(t, report.Kept, suffix)
	}
}
