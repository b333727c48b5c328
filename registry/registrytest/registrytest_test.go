package registrytest_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	_ "github.com/mattn/go-sqlite3" // the driver "sqlite3", to do damage with
	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/registry/registrytest"
)

// openers are the ways to open a registry.
var openers = map[string]func(testing.TB, ...registry.Option) *registry.Registry{
	"Open": registrytest.Open, "OpenEncrypted": registrytest.OpenEncrypted,
}

// each runs a test with each of them.
func each(t *testing.T, test func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry)) {
	for name, open := range openers {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

func TestOpenGivesAWorkingRegistry(t *testing.T) {
	each(t, func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry) {
		reg := open(t)
		_, err := reg.SetConfig(t.Context(), "max_threads", 16)
		require.NoError(t, err)
		threads, err := registry.Get[int](t.Context(), reg, "max_threads")
		require.NoError(t, err)
		require.Equal(t, 16, threads)
	})
}

func TestEachOpenGivesARegistryOfItsOwn(t *testing.T) {
	each(t, func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry) {
		first, second := open(t), open(t)
		_, err := first.SetConfig(t.Context(), "max_threads", 16)
		require.NoError(t, err)
		revision, err := second.Revision(t.Context())
		require.NoError(t, err)
		require.Zero(t, revision)
	})
}

func TestOptionsAreApplied(t *testing.T) {
	each(t, func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry) {
		reg := open(t, registry.WithMaxValue(1))
		_, err := reg.SetConfig(t.Context(), "max_threads", 16)
		require.ErrorIs(t, err, registry.ErrInvalid)
	})
}

func TestOnlyOpenEncryptedEncrypts(t *testing.T) {
	for name, open := range openers {
		reg := open(t)
		_, err := reg.SetConfig(t.Context(), "token", "s3cret")
		require.NoError(t, err)
		entry, err := reg.GetConfigEntry(t.Context(), "token")
		require.NoError(t, err)
		require.Equal(t, name == "OpenEncrypted", entry.Encrypted, name)
	}
}

func TestEachEncryptedRegistryHasAKeyOfItsOwn(t *testing.T) {
	ids := map[uint32]bool{}
	for range 3 {
		info, err := registrytest.OpenEncrypted(t).KeysetInfo(t.Context())
		require.NoError(t, err)
		ids[info.Primary] = true
	}
	require.Len(t, ids, 3)
}

// fakeTB is a test that may fail without harm.
type fakeTB struct {
	testing.TB
	dir      string
	cleanups []func()
	failures []string
}

func (f *fakeTB) Helper()                {}
func (f *fakeTB) TempDir() string        { return f.dir }
func (f *fakeTB) Cleanup(cleanup func()) { f.cleanups = append(f.cleanups, cleanup) }
func (f *fakeTB) Errorf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}
func (f *fakeTB) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	runtime.Goexit()
}

// run runs a test to its end, and returns what it failed with.
func run(t *testing.T, test func(tb testing.TB)) []string {
	f := &fakeTB{TB: t, dir: t.TempDir()}
	for _, step := range []func(){func() { test(f) }, func() {
		for i := len(f.cleanups) - 1; i >= 0; i-- {
			f.cleanups[i]()
		}
	}} {
		done := make(chan struct{})
		go func() {
			defer close(done)
			step()
		}()
		<-done
	}
	return f.failures
}

func TestATestPassesWhetherItClosesItsRegistryOrNot(t *testing.T) {
	each(t, func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry) {
		require.Empty(t, run(t, func(tb testing.TB) { open(tb) }))
		require.Empty(t, run(t, func(tb testing.TB) { _ = open(tb).Close() }))
	})
}

func TestDamageFailsTheTest(t *testing.T) {
	const drop = "DROP TRIGGER config_insert_value"
	damages := map[string]func(*testing.T, *sql.DB){
		"a trigger": func(t *testing.T, pool *sql.DB) { exec(t, pool, drop) },
		"a value": func(t *testing.T, pool *sql.DB) {
			var guard string
			const query = "SELECT sql FROM sqlite_schema WHERE name = 'config_insert_value'"
			require.NoError(t, pool.QueryRowContext(t.Context(), query).Scan(&guard))
			exec(t, pool, drop)
			exec(t, pool, "INSERT INTO config (key, value, updated_at) VALUES ('k', 'no JSON', '2026-01-01T00:00:00Z')")
			exec(t, pool, guard)
		},
	}
	each(t, func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry) {
		for name, damage := range damages {
			t.Run(name+" while it is open", func(t *testing.T) {
				require.NotEmpty(t, run(t, func(tb testing.TB) {
					open(tb)
					damage(t, sqlite(tb))
				}))
			})
			t.Run(name+" after it was closed", func(t *testing.T) {
				require.NotEmpty(t, run(t, func(tb testing.TB) {
					_ = open(tb).Close()
					damage(t, sqlite(tb))
				}))
			})
		}
	})
}

// A value is encrypted for its key: another's is none.
func TestAnEncryptedValueInAnotherPlaceFailsTheTest(t *testing.T) {
	for name, open := range openers {
		failures := run(t, func(tb testing.TB) {
			_, err := open(tb).SetConfig(t.Context(), "k", 1)
			require.NoError(t, err)
			exec(t, sqlite(tb), "INSERT INTO config SELECT 'copy', value, updated_at, 0 FROM config")
		})
		require.Len(t, failures, map[string]int{"Open": 0, "OpenEncrypted": 1}[name], name)
	}
}

// sqlite opens the file of a test's registry as any program would.
func sqlite(tb testing.TB) *sql.DB {
	pool, err := sql.Open("sqlite3", filepath.Join(tb.TempDir(), "registry.db"))
	require.NoError(tb, err)
	tb.Cleanup(func() { _ = pool.Close() })
	return pool
}

func exec(t *testing.T, pool *sql.DB, statement string) {
	_, err := pool.ExecContext(context.Background(), statement)
	require.NoError(t, err)
}

func TestARegistryThatCannotOpenFailsTheTestAtOnce(t *testing.T) {
	each(t, func(t *testing.T, open func(testing.TB, ...registry.Option) *registry.Registry) {
		reached := false
		failures := run(t, func(tb testing.TB) {
			open(tb, registry.WithMaxValue(-1))
			reached = true
		})
		require.Len(t, failures, 1)
		require.False(t, reached)
	})
}
