package registry_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// openBenchEncrypted is openBench for an encrypted registry.
func openBenchEncrypted(b *testing.B) *registry.Registry {
	reg, err := registry.OpenEncrypted(b.Context(), filepath.Join(b.TempDir(), "registry.db"), keyset.RawKey(make([]byte, 32)))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = reg.Close() })
	fillBench(b, reg)
	return reg
}

// BenchmarkEncryptedOverPlain measures what encryption adds: rounds of plain and encrypted calls in turns, on a machine
// whose speed changes from one moment to the next. It reports the median of the rounds' ratios, and each side's median.
func BenchmarkEncryptedOverPlain(b *testing.B) {
	for _, job := range []struct {
		name  string
		calls int // in a round
		call  func(ctx context.Context, reg *registry.Registry, key string, i int) error
	}{
		{"read", 2000, func(ctx context.Context, reg *registry.Registry, key string, _ int) error {
			var value benchValue
			return reg.GetConfig(ctx, key, &value)
		}},
		{"write", 50, func(ctx context.Context, reg *registry.Registry, key string, i int) error {
			_, err := reg.SetConfig(ctx, key, benchValue{Name: "new", Threads: i})
			return err
		}},
	} {
		b.Run(job.name, func(b *testing.B) {
			plain, _ := openBench(b)
			encrypted := openBenchEncrypted(b)
			benchContexts(b, func(b *testing.B, ctx context.Context) {
				key, n := randomKeys(), 0
				round := func(reg *registry.Registry) float64 {
					began := time.Now()
					for range job.calls {
						n++
						if err := job.call(ctx, reg, key(), n); err != nil {
							b.Fatal(err)
						}
					}
					return float64(time.Since(began).Nanoseconds()) / float64(job.calls)
				}
				var ratios, plains, encrypteds []float64
				for b.Loop() {
					p, e := round(plain), round(encrypted)
					if len(ratios)%2 == 1 { // the other order
						e, p = round(encrypted), round(plain)
					}
					ratios, plains, encrypteds = append(ratios, e/p), append(plains, p), append(encrypteds, e)
				}
				b.ReportMetric(0, "ns/op")
				b.ReportMetric(median(ratios), "ratio")
				b.ReportMetric(median(plains), "ns/plain")
				b.ReportMetric(median(encrypteds), "ns/encrypted")
			})
		})
	}
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkRotateKeyset is a rotation of all entries.
func BenchmarkRotateKeyset(b *testing.B) {
	for _, entries := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			reg, err := registry.OpenEncrypted(b.Context(), filepath.Join(b.TempDir(), "registry.db"), keyset.RawKey(make([]byte, 32)))
			if err != nil {
				b.Fatal(err)
			}
			defer reg.Close()
			err = reg.Update(b.Context(), func(ctx context.Context, tx *registry.Tx) error {
				for i := range entries {
					if _, err := tx.SetConfig(ctx, benchKey(i), benchValue{Name: benchKey(i), Threads: i}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := reg.RotateKeyset(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(entries)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}

// BenchmarkListDecoded lists all entries and decodes each.
func BenchmarkListDecoded(b *testing.B) {
	for _, mode := range []string{"plain", "encrypted"} {
		b.Run(mode, func(b *testing.B) {
			var reg *registry.Registry
			if mode == "plain" {
				reg, _ = openBench(b)
			} else {
				reg = openBenchEncrypted(b)
			}
			benchContexts(b, func(b *testing.B, ctx context.Context) {
				b.ReportAllocs()
				for b.Loop() {
					entries, err := reg.ListConfig(ctx, "bench/")
					if err != nil || len(entries) != benchEntries {
						b.Fatal(len(entries), err)
					}
					for _, e := range entries {
						var value benchValue
						if err := e.Decode(&value); err != nil {
							b.Fatal(err)
						}
					}
				}
			})
		})
	}
}
