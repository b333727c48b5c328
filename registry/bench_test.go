package registry_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// benchEntries is how many config entries, and modules, the benchmarks' registry holds.
const benchEntries = 10_000

// benchValue is a config value of a usual size.
type benchValue struct {
	Name    string   `json:"name"`
	Threads int      `json:"threads"`
	Tags    []string `json:"tags"`
}

func benchKey(i int) string { return fmt.Sprintf("bench/%05d", i) }

// openBench opens a registry with the entries in it, and returns its path too.
func openBench(b *testing.B) (*registry.Registry, string) {
	path := filepath.Join(b.TempDir(), "registry.db")
	reg, err := registry.Open(b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = reg.Close() })
	fillBench(b, reg)
	return reg, path
}

// fillBench writes the entries and modules.
func fillBench(b *testing.B, reg *registry.Registry) {
	err := reg.Update(b.Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range benchEntries {
			value := benchValue{Name: benchKey(i), Threads: i, Tags: []string{"one", "two"}}
			if _, err := tx.SetConfig(ctx, benchKey(i), value); err != nil {
				return err
			}
			m := registry.ModuleMetadata{ID: benchKey(i), Name: "module", Version: "1.0.0", Kind: registry.KindNative}
			if _, err := tx.UpsertModule(ctx, m, registry.StateRunning); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchContexts are the two kinds of context: the driver spends a goroutine on one that can end.
func benchContexts(b *testing.B, run func(b *testing.B, ctx context.Context)) {
	b.Run("background", func(b *testing.B) { run(b, context.Background()) })
	b.Run("cancellable", func(b *testing.B) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		run(b, ctx)
	})
}

// randomKeys are the keys in an order that is the same in each run.
func randomKeys() func() string {
	r := rand.New(rand.NewPCG(1, 2))
	return func() string { return benchKey(r.IntN(benchEntries)) }
}

func BenchmarkGetConfig(b *testing.B) {
	reg, _ := openBench(b)
	benchContexts(b, func(b *testing.B, ctx context.Context) {
		key := randomKeys()
		b.ReportAllocs()
		for b.Loop() {
			var value benchValue
			if err := reg.GetConfig(ctx, key(), &value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkHandWritten is what GetConfig does, without a registry: the same driver, settings and statement.
func BenchmarkHandWritten(b *testing.B) {
	_, path := openBench(b)
	name := url.URL{Scheme: "file", Path: path}
	pool, err := sql.Open("sqlite3", name.String()+
		"?mode=ro&_busy_timeout=0&_foreign_keys=1&_synchronous=FULL&_stmt_cache_size=128")
	if err != nil {
		b.Fatal(err)
	}
	defer pool.Close()
	benchContexts(b, func(b *testing.B, ctx context.Context) {
		key := randomKeys()
		b.ReportAllocs()
		for b.Loop() {
			var text string
			if err := pool.QueryRowContext(ctx, "SELECT value FROM config WHERE key = ?", key()).Scan(&text); err != nil {
				b.Fatal(err)
			}
			var value benchValue
			if err := json.Unmarshal([]byte(text), &value); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkGetModule(b *testing.B) {
	reg, _ := openBench(b)
	benchContexts(b, func(b *testing.B, ctx context.Context) {
		key := randomKeys()
		b.ReportAllocs()
		for b.Loop() {
			if _, err := reg.GetModule(ctx, key()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSetConfig is one durable write; a write that changes nothing would be cheaper than any real one.
func BenchmarkSetConfig(b *testing.B) {
	reg, _ := openBench(b)
	benchContexts(b, func(b *testing.B, ctx context.Context) {
		key := randomKeys()
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := reg.SetConfig(ctx, key(), benchValue{Name: "new", Threads: i}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkListConfig lists all entries, and decodes none.
func BenchmarkListConfig(b *testing.B) {
	reg, _ := openBench(b)
	benchContexts(b, func(b *testing.B, ctx context.Context) {
		b.ReportAllocs()
		for b.Loop() {
			entries, err := reg.ListConfig(ctx, "bench/")
			if err != nil || len(entries) != benchEntries {
				b.Fatal(len(entries), err)
			}
		}
	})
}
