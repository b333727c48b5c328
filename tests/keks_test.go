package tests

import (
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/oxide-k/stateregistry/keyset"
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
