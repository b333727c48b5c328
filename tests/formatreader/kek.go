package formatreader

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"regexp"
	"strconv"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/chacha20poly1305"
)

// KEK is a key-encryption key, as the caller has it.
type KEK struct {
	kind   string
	unwrap func(params string, wrapped, associatedData []byte) ([]byte, error)
}

// RawKey is a KEK of 32 bytes.
func RawKey(key []byte) KEK {
	return KEK{"rawkey", func(params string, wrapped, associatedData []byte) ([]byte, error) {
		if params != "" {
			return nil, fmt.Errorf("%w: parameters for a raw key", ErrWrongKey)
		}
		return openXChaCha(key, wrapped, associatedData)
	}}
}

// Passphrase is a KEK that is derived.
func Passphrase(passphrase string) KEK {
	return KEK{"passphrase", func(params string, wrapped, associatedData []byte) ([]byte, error) {
		a, err := parsePHC(params)
		if err != nil || passphrase == "" {
			return nil, fmt.Errorf("%w: not the parameters of a passphrase", ErrWrongKey)
		}
		derived := argon2.IDKey([]byte(passphrase), a.salt, a.time, a.memory, a.lanes, 2*chacha20poly1305.KeySize)
		key, commitment := derived[:chacha20poly1305.KeySize], derived[chacha20poly1305.KeySize:]
		if subtle.ConstantTimeCompare(commitment, a.commitment) != 1 {
			return nil, fmt.Errorf("%w: another passphrase", ErrWrongKey)
		}
		return openXChaCha(key, wrapped, associatedData)
	}}
}

// AEAD is a KEK of the caller's, who has it under a name.
func AEAD(name string, decrypt func(ciphertext, associatedData []byte) ([]byte, error)) KEK {
	return KEK{"aead", func(params string, wrapped, associatedData []byte) ([]byte, error) {
		if params != name || !isName(name) {
			return nil, fmt.Errorf("%w: another name", ErrWrongKey)
		}
		return decrypt(wrapped, associatedData)
	}}
}

// argon is the parameters of Argon2id.
type argon struct {
	memory, time uint32
	lanes        uint8
	salt         []byte
	commitment   []byte
}

// The numbers have as many digits as their upper bounds at most, and no leading zeros: one form, nothing overflows.
var phc = regexp.MustCompile(`^\$argon2id\$v=19\$m=([1-9][0-9]{3,5}),t=([1-9][0-9]?),p=([1-9][0-9]?)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]{43})$`)

// parsePHC reads the parameters within their bounds.
func parsePHC(text string) (argon, error) {
	m := phc.FindStringSubmatch(text)
	if m == nil {
		return argon{}, ErrWrongKey
	}
	var n [3]uint64
	for i := range n {
		var err error
		if n[i], err = strconv.ParseUint(m[i+1], 10, 32); err != nil {
			return argon{}, err
		}
	}
	salt, err := base64.RawStdEncoding.Strict().DecodeString(m[4])
	if err != nil {
		return argon{}, err
	}
	commitment, err := base64.RawStdEncoding.Strict().DecodeString(m[5])
	switch {
	case err != nil:
		return argon{}, err
	case n[0] < 65536 || n[0] > 262144, n[1] < 3 || n[1] > 10, n[2] < 1 || n[2] > 16, len(salt) < 16 || len(salt) > 64:
		return argon{}, ErrWrongKey
	}
	return argon{memory: uint32(n[0]), time: uint32(n[1]), lanes: uint8(n[2]), salt: salt, commitment: commitment}, nil
}
