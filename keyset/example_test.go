package keyset_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/testing/fakekms"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// Something that a person remembers. Another passphrase opens nothing.
func ExamplePassphrase() {
	ctx, path := context.Background(), temporary()
	defer os.RemoveAll(filepath.Dir(path))

	reg, err := registry.OpenEncrypted(ctx, path, keyset.Passphrase("correct horse battery staple"))
	check(err)
	_, err = reg.SetConfig(ctx, "api_token", "t0ken")
	check(err)
	check(reg.Close())

	_, err = registry.OpenEncrypted(ctx, path, keyset.Passphrase("correct horse battery stable"))
	fmt.Println("another passphrase is the wrong key:", errors.Is(err, registry.ErrWrongKey))

	reg, err = registry.OpenEncrypted(ctx, path, keyset.Passphrase("correct horse battery staple"))
	check(err)
	defer reg.Close()
	token, err := registry.Get[string](ctx, reg, "api_token")
	check(err)
	fmt.Println(token)
	// Output:
	// another passphrase is the wrong key: true
	// t0ken
}

// 32 random bytes that something else keeps: no time is spent on deriving a key.
func ExampleRawKey() {
	ctx, path := context.Background(), temporary()
	defer os.RemoveAll(filepath.Dir(path))

	key := make([]byte, keyset.RawKeySize)
	_, _ = rand.Read(key) // it never fails

	reg, err := registry.OpenEncrypted(ctx, path, keyset.RawKey(key))
	check(err)
	defer reg.Close()
	_, err = reg.SetConfig(ctx, "api_token", "t0ken")
	check(err)
	entry, err := reg.GetConfigEntry(ctx, "api_token")
	check(err)
	fmt.Println(entry.Key, "is encrypted:", entry.Encrypted)
	// Output: api_token is encrypted: true
}

// A passphrase that the environment holds, in OXIDE_REGISTRY_KEY unless it is told another name.
func ExampleFromEnv() {
	ctx, path := context.Background(), temporary()
	defer os.RemoveAll(filepath.Dir(path))

	check(os.Unsetenv(keyset.DefaultEnv))
	_, err := registry.OpenEncrypted(ctx, path, keyset.FromEnv())
	fmt.Println("without the variable there is no key:", errors.Is(err, keyset.ErrKEK))

	check(os.Setenv(keyset.DefaultEnv, "correct horse battery staple"))
	defer os.Unsetenv(keyset.DefaultEnv)
	reg, err := registry.OpenEncrypted(ctx, path, keyset.FromEnv())
	check(err)
	defer reg.Close()
	_, err = reg.SetConfig(ctx, "api_token", "t0ken")
	check(err)
	token, err := registry.Get[string](ctx, reg, "api_token")
	check(err)
	fmt.Println(token)
	// Output:
	// without the variable there is no key: true
	// t0ken
}

// Anything that encrypts and decrypts: here a KMS, Tink's own fake one. A real one is called when a registry is opened,
// not when a value is read.
func ExampleAEAD() {
	ctx, path := context.Background(), temporary()
	defer os.RemoveAll(filepath.Dir(path))

	uri, err := fakekms.NewKeyURI()
	check(err)
	kms, err := fakekms.NewAEAD(uri)
	check(err)

	// The name is stored in the file; the fake's URI holds its key, and is no name to store.
	kek := keyset.AEAD("kms://example/registry", kms)
	reg, err := registry.OpenEncrypted(ctx, path, kek)
	check(err)
	_, err = reg.SetConfig(ctx, "api_token", "t0ken")
	check(err)
	check(reg.Close())

	reg, err = registry.OpenEncrypted(ctx, path, kek)
	check(err)
	defer reg.Close()
	info, err := reg.KeysetInfo(ctx)
	check(err)
	token, err := registry.Get[string](ctx, reg, "api_token")
	check(err)
	fmt.Println(info.KEK, info.KEKParams, token)
	// Output: aead kms://example/registry t0ken
}

// temporary is the path of a new database, in a folder of its own.
func temporary() string {
	dir, err := os.MkdirTemp("", "keyset")
	check(err)
	return filepath.Join(dir, "kernel.db")
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
