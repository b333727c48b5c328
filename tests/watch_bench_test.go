package tests

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// BenchmarkWatch writes, and waits until a watcher of the same Registry, or of another on the same file, has the change.
// It reports how long after the write had returned that was: in the median, and at worst.
func BenchmarkWatch(b *testing.B) {
	for name, watchers := range map[string]func(reg *registry.Registry, path string) *registry.Registry{
		"SameRegistry": func(reg *registry.Registry, _ string) *registry.Registry { return reg },
		"AnotherRegistry": func(_ *registry.Registry, path string) *registry.Registry {
			reg, err := registry.Open(b.Context(), path)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = reg.Close() })
			return reg
		},
	} {
		b.Run(name, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "registry.db")
			writer, err := registry.Open(b.Context(), path)
			if err != nil {
				b.Fatal(err)
			}
			defer writer.Close()
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			came := make(chan time.Time)
			elements := watchers(writer, path).Watch(ctx, registry.FromNow)
			go func() {
				defer close(came)
				for _, err := range elements {
					if err != nil {
						b.Error(err)
						return
					}
					came <- time.Now()
				}
			}()
			var delays []time.Duration
			for b.Loop() {
				if _, err := writer.SetConfig(b.Context(), "k", len(delays)); err != nil {
					b.Fatal(err)
				}
				written := time.Now()
				delays = append(delays, max(0, (<-came).Sub(written)))
			}
			cancel()
			slices.Sort(delays)
			b.ReportMetric(float64(delays[len(delays)/2].Microseconds()), "µs-median")
			b.ReportMetric(float64(delays[len(delays)-1].Microseconds()), "µs-worst")
		})
	}
}
