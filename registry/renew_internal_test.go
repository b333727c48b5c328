package registry

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/sqlite"
	"github.com/oxide-k/stateregistry/keyset"
)

// A read that has to begin anew, since the keys were rotated, waits no longer than one that has not.
func TestRunsWithANewerKeysetShareOneWait(t *testing.T) {
	ctx, path := t.Context(), filepath.Join(t.TempDir(), "a.db")
	kek := keyset.RawKey(make([]byte, 32))
	reg, err := OpenEncrypted(ctx, path, kek, WithLockTimeout(time.Hour))
	require.NoError(t, err)
	defer func() { require.NoError(t, reg.Close()) }()
	other, err := OpenEncrypted(ctx, path, kek)
	require.NoError(t, err)
	defer func() { require.NoError(t, other.Close()) }()
	_, err = other.RotateKeyset(ctx)
	require.NoError(t, err)

	runs, own := 0, sqlite.Wait{Limit: time.Hour}
	var rings []*keyring
	require.NoError(t, reg.whileRenewing(ctx, func(ctx context.Context, ring *keyring) (lacks bool, err error) {
		rings = append(rings, ring)
		if runs++; runs == 1 {
			require.Equal(t, own, own.In(ctx))
			return true, nil
		}
		require.Less(t, own.In(ctx).Limit, time.Hour)
		require.Positive(t, own.In(ctx).Limit)
		return false, nil
	}))
	require.Equal(t, 2, runs)
	require.NotSame(t, rings[0], rings[1])
}
