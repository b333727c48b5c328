// Package oxide opens the values that an oxide-k kernel encrypted: AES-256-GCM under the SHA-256 of a string, without
// associated data, as Tink's AES-GCM keys do it with no output prefix. It opens them and makes none.
package oxide

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/secretdata"
)

// ErrCannotOpen is returned for text that is no ciphertext of oxide-k's, or one under another key.
var ErrCannotOpen = errors.New("not encrypted by oxide-k under this key")

// encoding is URL-safe base64 with padding.
var encoding = base64.URLEncoding.Strict()

const (
	nonceSize = 12
	tagSize   = 16
)

// Key opens values. It is safe for concurrent use.
type Key struct {
	decrypt func(ciphertext []byte) ([]byte, error) // a function, so that no way of printing a key comes to its bytes
}

// NewKey makes the key that an oxide-k kernel makes of a string.
func NewKey(text string) (*Key, error) {
	params, err := aesgcm.NewParameters(aesgcm.ParametersOpts{
		KeySizeInBytes: sha256.Size, IVSizeInBytes: nonceSize, TagSizeInBytes: tagSize, Variant: aesgcm.VariantNoPrefix,
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(text))
	key, err := aesgcm.NewKey(secretdata.NewBytesFromData(sum[:], insecuresecretdataaccess.Token{}), 0, params)
	if err != nil {
		return nil, err
	}
	aead, err := aesgcm.NewAEAD(key)
	if err != nil {
		return nil, err
	}
	return &Key{func(ciphertext []byte) ([]byte, error) { return aead.Decrypt(ciphertext, nil) }}, nil
}

// Open returns the JSON text in a stored value, or ErrCannotOpen.
func (k *Key) Open(text string) ([]byte, error) {
	ciphertext, err := decode(text)
	if err != nil {
		return nil, err
	}
	plaintext, err := k.decrypt(ciphertext)
	if err != nil {
		return nil, ErrCannotOpen
	}
	return plaintext, nil
}

// LooksEncrypted reports whether text has the form of a value that oxide-k encrypted.
func LooksEncrypted(text string) bool {
	_, err := decode(text)
	return err == nil
}

func decode(text string) ([]byte, error) {
	ciphertext, err := encoding.DecodeString(text)
	// The decoder skips CR and LF: then there is more text than the ciphertext needs.
	if err != nil || len(ciphertext) < nonceSize+tagSize || encoding.EncodedLen(len(ciphertext)) != len(text) {
		return nil, ErrCannotOpen
	}
	return ciphertext, nil
}
