package registry

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/feed"
)

// A registry's own commits do not wait for the next look at what others did: here there is none.
func TestOwnCommitsComeAtOnce(t *testing.T) {
	for _, path := range []string{filepath.Join(t.TempDir(), "registry.db"), InMemory} {
		reg, err := Open(t.Context(), path)
		require.NoError(t, err)
		reg.feed = feed.New(reg.followLog, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		echo := ModuleMetadata{ID: "echo", Kind: KindWasm}
		writes := []func() error{
			func() error { _, err := reg.SetConfig(ctx, "k", 1); return err },
			func() error {
				_, err := Modify(ctx, reg, "k", func(n int, _ bool) (int, error) { return n + 1, nil })
				return err
			},
			func() error { _, err := reg.UpsertModule(ctx, echo, StateLoaded); return err },
			func() error { _, err := reg.TransitionModule(ctx, "echo", StateLoaded, StateStarting); return err },
			func() error { _, err := reg.SetModuleState(ctx, "echo", StateFailed); return err },
			func() error { _, err := reg.DeleteModule(ctx, "echo"); return err },
			func() error { _, err := reg.DeleteConfig(ctx, "k"); return err },
			func() error {
				return reg.Update(ctx, func(ctx context.Context, tx *Tx) error {
					_, err := tx.ExecContext(ctx, "INSERT INTO config (key, value, updated_at) VALUES ('raw', '1', '')")
					return err
				})
			},
		}
		require.NoError(t, writes[0]())
		seen := 0
		for _, err := range reg.Watch(ctx, 0) {
			require.NoError(t, err)
			if seen++; seen == len(writes) {
				break
			}
			require.NoError(t, writes[seen]())
		}
		require.Equal(t, len(writes), seen)
		require.NoError(t, reg.Close())
	}
}

// Others' commits are promised within 100 ms, which leaves a busy machine some.
func TestOthersCommitsAreAskedForOftenEnough(t *testing.T) {
	require.LessOrEqual(t, watchInterval, 50*time.Millisecond)
}
