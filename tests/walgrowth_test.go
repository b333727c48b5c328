package tests

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

const mebibyte = 1 << 20

// overlappingViews keeps two goroutines in Views that last for several writes each, until stop is called.
func overlappingViews(t *testing.T, reg *registry.Registry) (stop func()) {
	const lasts = 60 * time.Millisecond
	stopped := make(chan struct{})
	var viewers sync.WaitGroup
	for i := range 2 {
		viewers.Go(func() {
			after := lasts * time.Duration(1+i) / 2
			for {
				err := reg.View(background, func(context.Context, *registry.Tx) error {
					select {
					case <-time.After(after):
					case <-stopped:
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				after = lasts
				select {
				case <-stopped:
					return
				default:
				}
			}
		})
	}
	return func() { close(stopped); viewers.Wait() }
}

func TestOverlappingViewsDoNotMakeTheWALGrowForEver(t *testing.T) {
	reg, err := registry.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	require.NoError(t, err)
	stop := overlappingViews(t, reg)
	var largest int64
	for i := range 160 {
		_, err := reg.SetConfig(t.Context(), "k", strings.Repeat(fmt.Sprint(i%10), mebibyte))
		require.NoError(t, err)
		largest = max(largest, reg.Stats().WALBytes)
	}
	stop()
	require.LessOrEqual(t, largest, int64(96*mebibyte))
	closeVerified(t, reg)
}

// One View that does not end cannot be helped: it is logged and counted, writes go on, and once it ends the WAL is emptied.
func TestAViewThatDoesNotEndIsReported(t *testing.T) {
	var log bytes.Buffer
	reg, err := registry.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"),
		registry.WithLogger(slog.New(slog.NewTextHandler(&log, nil))))
	require.NoError(t, err)
	writes := 0
	write := func(size int) {
		writes++ // the same value again would write nothing
		_, err := reg.SetConfig(t.Context(), "k", fmt.Sprint(writes)+strings.Repeat(fmt.Sprint(writes%10), size))
		require.NoError(t, err)
	}
	write(1)
	err = reg.View(background, func(context.Context, *registry.Tx) error {
		for range 60 {
			write(mebibyte)
		}
		return nil
	})
	require.NoError(t, err)
	stats := reg.Stats()
	require.EqualValues(t, 1, stats.CheckpointsHeldOff, "writes are held back once, and not again for each")
	require.Greater(t, stats.WALBytes, int64(60*mebibyte))
	require.Equal(t, 1, strings.Count(log.String(), "level=WARN"), log.String())
	require.Contains(t, log.String(), "bytes=")
	require.Eventually(t, func() bool {
		write(1)
		return reg.Stats().WALBytes < mebibyte
	}, patience, time.Millisecond)
	closeVerified(t, reg)
}
