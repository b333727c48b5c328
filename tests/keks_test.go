package tests

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// kekOf is a raw key of one repeated byte.
func kekOf(b byte) keyset.KEK { return keyset.RawKey(repeated(b)) }

func repeated(b byte) []byte {
	key := make([]byte, keyset.RawKeySize)
	for i := range key {
		key[i] = b
	}
	return key
}

// fixedCipher stands for a KMS: the same key each time.
func fixedCipher() keyset.Cipher {
	c, err := subtle.NewXChaCha20Poly1305(repeated(0xa5))
	if err != nil {
		panic(err)
	}
	return c
}

// failingCipher stands for a KMS that is down.
type failingCipher struct{}

var errKMS = errors.New("the KMS is down")

func (failingCipher) Encrypt([]byte, []byte) ([]byte, error) { return nil, errKMS }
func (failingCipher) Decrypt([]byte, []byte) ([]byte, error) { return nil, errKMS }

// otherRegistry is an AEAD whose key is in another registry, and which gives that one's errors.
type otherRegistry struct{ reg *registry.Registry }

func (o otherRegistry) Encrypt(plaintext, _ []byte) ([]byte, error) { return plaintext, nil }

func (o otherRegistry) Decrypt([]byte, []byte) ([]byte, error) {
	_, err := registry.Get[string](background, o.reg, "kek")
	return nil, err
}

func TestTheErrorsOfAnAEADsOwnRegistryAreNotOurs(t *testing.T) {
	other, err := registry.Open(t.Context(), registry.InMemory)
	require.NoError(t, err)
	defer other.Close()
	path := filepath.Join(t.TempDir(), "x.db")
	kek := keyset.AEAD("other", otherRegistry{other})
	reg, err := registry.OpenEncrypted(t.Context(), path, kek)
	if err == nil { // it reads the keyset that it made
		require.NoError(t, reg.Close())
		_, err = registry.OpenEncrypted(t.Context(), path, kek)
	}
	require.ErrorIs(t, err, registry.ErrWrongKey)
	require.ErrorIs(t, err, registry.ErrConfigNotFound)
	outermost, ok := errors.AsType[*registry.Error](err)
	require.True(t, ok)
	require.Equal(t, path, outermost.Key)
}
