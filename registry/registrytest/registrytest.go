package registrytest

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// Open opens a new registry in a file of t.TempDir, and fails t if it cannot. When t and its subtests end, the registry
// is verified and closed, and t fails where Verify finds damage; one that the test closed itself is opened once more for
// that.
func Open(t testing.TB, opts ...registry.Option) *registry.Registry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	reg, err := registry.Open(context.Background(), path, opts...)
	if err != nil {
		t.Fatalf("registrytest: %v", err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Errorf("registrytest: %v", err)
		}
		verify(t, path, opts)
	})
	return reg
}

func verify(t testing.TB, path string, opts []registry.Option) {
	t.Helper()
	reg, err := registry.Open(context.Background(), path, append(opts[:len(opts):len(opts)], registry.WithMustExist())...)
	if err != nil {
		t.Errorf("registrytest: reopen: %v", err)
		return
	}
	defer reg.Close()
	report, err := reg.Verify(context.Background())
	if err != nil {
		t.Errorf("registrytest: %v: %v", err, report.Problems)
	}
}
