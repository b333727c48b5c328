package registrytest

import (
	"context"
	"crypto/rand"
	"path/filepath"
	"testing"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// Open opens a new registry in a file of t.TempDir, and fails t if it cannot. When t and its subtests end, the registry
// is verified and closed, and t fails where Verify finds damage; one that the test closed itself is opened once more for
// that.
func Open(t testing.TB, opts ...registry.Option) *registry.Registry {
	t.Helper()
	return open(t, registry.Open, opts)
}

// OpenEncrypted is Open with a registry that is encrypted, under a random key-encryption key of its own. Each value is
// decrypted at the end: one that was not encrypted for its place fails t.
func OpenEncrypted(t testing.TB, opts ...registry.Option) *registry.Registry {
	t.Helper()
	key := make([]byte, keyset.RawKeySize)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	kek := keyset.RawKey(key)
	return open(t, func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error) {
		return registry.OpenEncrypted(ctx, path, kek, opts...)
	}, opts)
}

// opener is registry.Open, or the like.
type opener func(ctx context.Context, path string, opts ...registry.Option) (*registry.Registry, error)

func open(t testing.TB, opener opener, opts []registry.Option) *registry.Registry {
	t.Helper()
	path := filepath.Join(t.TempDir(), "registry.db")
	reg, err := opener(context.Background(), path, opts...)
	if err != nil {
		t.Fatalf("registrytest: %v", err)
	}
	t.Cleanup(func() {
		if err := reg.Close(); err != nil {
			t.Errorf("registrytest: %v", err)
		}
		verify(t, path, opener, opts)
	})
	return reg
}

func verify(t testing.TB, path string, opener opener, opts []registry.Option) {
	t.Helper()
	reg, err := opener(context.Background(), path, append(opts[:len(opts):len(opts)], registry.WithMustExist())...)
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
