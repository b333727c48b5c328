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

func TestOpenGivesAWorkingRegistry(t *testing.T) {
	reg := registrytest.Open(t)
	_, err := reg.SetConfig(t.Context(), "max_threads", 16)
	require.NoError(t, err)
	threads, err := registry.Get[int](t.Context(), reg, "max_threads")
	require.NoError(t, err)
	require.Equal(t, 16, threads)
}

func TestEachOpenGivesARegistryOfItsOwn(t *testing.T) {
	first, second := registrytest.Open(t), registrytest.Open(t)
	_, err := first.SetConfig(t.Context(), "max_threads", 16)
	require.NoError(t, err)
	revision, err := second.Revision(t.Context())
	require.NoError(t, err)
	require.Zero(t, revision)
}

func TestOptionsAreApplied(t *testing.T) {
	reg := registrytest.Open(t, registry.WithMaxValue(1))
	_, err := reg.SetConfig(t.Context(), "max_threads", 16)
	require.ErrorIs(t, err, registry.ErrInvalid)
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
	require.Empty(t, run(t, func(tb testing.TB) { registrytest.Open(tb) }))
	require.Empty(t, run(t, func(tb testing.TB) { _ = registrytest.Open(tb).Close() }))
}

func TestDamageFailsTheTest(t *testing.T) {
	for name, statement := range map[string]string{
		"a value":   "INSERT INTO config (key, value, updated_at) VALUES ('k', 'no JSON', '2026-01-01T00:00:00Z')",
		"a trigger": "DROP TRIGGER config_insert",
	} {
		damage := func(tb testing.TB) {
			pool, err := sql.Open("sqlite3", filepath.Join(tb.TempDir(), "registry.db"))
			require.NoError(t, err)
			_, err = pool.ExecContext(context.Background(), statement)
			require.NoError(t, err)
			require.NoError(t, pool.Close())
		}
		t.Run(name+" while it is open", func(t *testing.T) {
			require.NotEmpty(t, run(t, func(tb testing.TB) {
				registrytest.Open(tb)
				damage(tb)
			}))
		})
		t.Run(name+" after it was closed", func(t *testing.T) {
			require.NotEmpty(t, run(t, func(tb testing.TB) {
				_ = registrytest.Open(tb).Close()
				damage(tb)
			}))
		})
	}
}

func TestARegistryThatCannotOpenFailsTheTestAtOnce(t *testing.T) {
	reached := false
	failures := run(t, func(tb testing.TB) {
		registrytest.Open(tb, registry.WithMaxValue(-1))
		reached = true
	})
	require.Len(t, failures, 1)
	require.False(t, reached)
}
