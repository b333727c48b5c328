package registry_test

import (
	"context"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// benchFlat is a value that the cache copies, and does not decode again.
type benchFlat struct {
	PerHost int    `json:"per_host"`
	Bytes   int64  `json:"bytes"`
	Agent   string `json:"agent"`
	Strict  bool   `json:"strict"`
}

// Settings as a subsystem has them. The last two have no entry.
var (
	benchNumber = registry.Setting[int]{Name: "number", Validate: func(int) error { return nil }}
	benchLimits = registry.Setting[benchFlat]{Name: "flat"}
	benchUnset  = registry.Setting[int]{Name: "unset/number", Default: 4}
	benchNoFlat = registry.Setting[benchFlat]{Name: "unset/flat", Default: benchFlat{PerHost: 2, Agent: "oxide/1.0"}}
)

// BenchmarkReadCache is the reads that the cache serves, with it and without it.
func BenchmarkReadCache(b *testing.B) {
	for _, with := range []struct {
		name string
		opts []registry.Option
	}{{"cached", []registry.Option{registry.WithReadCache(8 << 20)}}, {"uncached", nil}} {
		reg, err := registry.Open(b.Context(), b.TempDir()+"/registry.db", with.opts...)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = reg.Close() })
		for key, value := range map[string]any{
			"flat":   benchFlat{PerHost: 2, Bytes: 1 << 20, Agent: "oxide/1.0", Strict: true},
			"number": 16,
			"slice":  benchValue{Name: "slice", Threads: 4, Tags: []string{"one", "two"}},
		} {
			if _, err := reg.SetConfig(b.Context(), key, value); err != nil {
				b.Fatal(err)
			}
		}
		for _, job := range []struct {
			name string
			read func(context.Context) error
		}{
			{"GetConfig/flat", func(ctx context.Context) error {
				var value benchFlat
				return reg.GetConfig(ctx, "flat", &value)
			}},
			{"GetConfig/slice", func(ctx context.Context) error {
				var value benchValue
				return reg.GetConfig(ctx, "slice", &value)
			}},
			{"Setting/number", func(ctx context.Context) error {
				_, err := benchNumber.Get(ctx, reg)
				return err
			}},
			{"Setting/flat", func(ctx context.Context) error {
				_, err := benchLimits.Get(ctx, reg)
				return err
			}},
			{"Setting/default-number", func(ctx context.Context) error {
				_, err := benchUnset.Get(ctx, reg)
				return err
			}},
			{"Setting/default-flat", func(ctx context.Context) error {
				_, err := benchNoFlat.Get(ctx, reg)
				return err
			}},
		} {
			b.Run(with.name+"/"+job.name, func(b *testing.B) {
				benchContexts(b, func(b *testing.B, ctx context.Context) {
					b.ReportAllocs()
					for b.Loop() {
						if err := job.read(ctx); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// BenchmarkReadCacheAfterWrite is a write and a read of it: the cache has to look for what was committed.
func BenchmarkReadCacheAfterWrite(b *testing.B) {
	for _, with := range []struct {
		name string
		opts []registry.Option
	}{{"cached", []registry.Option{registry.WithReadCache(8 << 20)}}, {"uncached", nil}} {
		b.Run(with.name, func(b *testing.B) {
			reg, err := registry.Open(b.Context(), b.TempDir()+"/registry.db",
				append(with.opts, registry.WithDurability(registry.Normal))...)
			if err != nil {
				b.Fatal(err)
			}
			defer reg.Close()
			b.ReportAllocs()
			for n := 0; b.Loop(); n++ {
				if _, err := reg.SetConfig(b.Context(), "number", n); err != nil {
					b.Fatal(err)
				}
				if got, err := benchNumber.Get(b.Context(), reg); err != nil || got != n {
					b.Fatal(got, err)
				}
			}
		})
	}
}
