package keyset

import (
	"fmt"

	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xchacha20poly1305"
	"github.com/tink-crypto/tink-go/v2/key"
)

// Template is the algorithm of a new key. All have 256-bit keys.
type Template int

const (
	// XChaCha20Poly1305 has random nonces of 192 bits: there is no number of writes to count. The default.
	XChaCha20Poly1305 Template = iota
	// XAES256GCM is AES-256-GCM with derived keys and random nonces of 192 bits (c2sp.org/XAES-256-GCM), for where AES is
	// demanded. There is no number of writes to count.
	XAES256GCM
	// AES256GCM has random nonces of 96 bits: one key must not encrypt more than 2^32 values (NIST SP 800-38D, section
	// 8.3), counting every write. Rotate long before.
	AES256GCM
)

var templates = []Template{XChaCha20Poly1305, XAES256GCM, AES256GCM}

// Valid reports whether t is one of the templates above.
func (t Template) Valid() bool { return t >= XChaCha20Poly1305 && t <= AES256GCM }

// String is the algorithm's name.
func (t Template) String() string {
	switch t {
	case XChaCha20Poly1305:
		return "XChaCha20-Poly1305"
	case XAES256GCM:
		return "XAES-256-GCM"
	case AES256GCM:
		return "AES-256-GCM"
	}
	return fmt.Sprintf("Template(%d)", int(t))
}

// parameters are Tink's, with the TINK prefix: a ciphertext names its key.
func (t Template) parameters() (key.Parameters, error) {
	switch t {
	case XChaCha20Poly1305:
		return xchacha20poly1305.NewParameters(xchacha20poly1305.VariantTink)
	case XAES256GCM:
		const saltSize = 12 // with the 96-bit nonce of AES-GCM, the 192 bits of C2SP's
		return xaesgcm.NewParameters(xaesgcm.VariantTink, saltSize)
	case AES256GCM:
		return aesgcm.NewParameters(aesgcm.ParametersOpts{
			KeySizeInBytes: 32, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: aesgcm.VariantTink,
		})
	}
	return nil, fmt.Errorf("%w: %d", ErrTemplate, int(t))
}

// templateOf is the template whose keys have those parameters.
func templateOf(p key.Parameters) (Template, error) {
	for _, t := range templates {
		own, err := t.parameters()
		if err != nil {
			return 0, err
		}
		if own.Equal(p) {
			return t, nil
		}
	}
	return 0, ErrUnsupported
}
