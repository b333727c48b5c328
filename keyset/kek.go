package keyset

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tink-crypto/tink-go/v2/aead/subtle"

	"github.com/oxide-k/stateregistry/internal/kdf"
)

// Kind is what a KEK is made of. It is stored beside the keyset; the caller's must be the same.
type Kind string

// The kinds that there are.
const (
	KindPassphrase Kind = "passphrase"
	KindRawKey     Kind = "rawkey"
	KindAEAD       Kind = "aead"
)

// DefaultEnv is the environment variable that FromEnv reads unless it is told another.
const DefaultEnv = "OXIDE_REGISTRY_KEY"

// RawKeySize is the size of a raw key in bytes.
const RawKeySize = kdf.KeySize

// maxAEADName is the longest name of an AEAD, in bytes.
const maxAEADName = 1 << 10

// KEK is a key-encryption key. It wraps a registry's keyset, and nothing else. It is immutable and safe for concurrent
// use. Printing it shows its kind. The zero value is none: ErrKEK.
type KEK struct {
	// Behind a pointer to an interface: the one thing of which fmt never prints what it points to, whatever the verb, where
	// the KEK is itself a field that fmt cannot call String on.
	source *source
}

func newKEK(s source) KEK { return KEK{&s} }

// Cipher is what an [AEAD] KEK is made of. Tink's tink.AEAD is one. Decrypt must fail on a ciphertext that Encrypt did not
// make with the same associated data.
type Cipher interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// Passphrase is a KEK that is derived from a passphrase with Argon2id: 64 MiB of memory, 3 passes, 4 lanes, and a random
// salt of 16 bytes, all stored beside the keyset. Opening a registry takes that long, reading and writing does not. The
// bytes of the passphrase are taken as they are; an empty one is ErrKEK. A guessable passphrase stays guessable to whoever
// has the file.
func Passphrase(passphrase string) KEK { return PassphraseAtCost(passphrase, kdf.DefaultCost()) }

// PassphraseAtCost is Passphrase with another cost for new wrappings. It is for this module's own tests: nobody else can
// name the type of the cost.
func PassphraseAtCost(passphrase string, cost kdf.Cost) KEK {
	return newKEK(&passphraseSource{passphrase: passphrase, cost: cost})
}

// FromEnv is the Passphrase that an environment variable holds: OXIDE_REGISTRY_KEY, or the one that is named. It is read
// when the KEK is used, by OpenEncrypted, Encrypt, Decrypt and Rewrap, and may be unset after that, so that no child process
// inherits it. One that is unset or empty is ErrKEK, and so is more than one name.
func FromEnv(name ...string) KEK {
	s := &envSource{names: slices.Clone(name)}
	if len(name) == 0 {
		s.names = []string{DefaultEnv}
	}
	return newKEK(s)
}

// RawKey is a KEK that is the key itself: 32 bytes from a good source of randomness; another size is ErrKEK. The bytes are
// copied.
func RawKey(key []byte) KEK { return newKEK(&rawSource{key: bytes.Clone(key)}) }

// AEAD is a KEK that lives somewhere else, in a KMS for example. The name is stored beside the keyset, where everybody can
// read it, and must be the same when the registry is opened: non-empty UTF-8, at most 1 KiB, no secret. Whatever error
// Decrypt returns makes the KEK a wrong one (ErrWrongKEK, registry.ErrWrongKey), also where a service is only down: that
// error is wrapped, look for it with errors.Is. a is called when a registry is opened, rotated or
// rewrapped and must be safe for concurrent use; while a new registry is made, and by Encrypt, it is called inside a
// transaction that others wait for. A nil interface, and another name than that, are ErrKEK.
func AEAD(name string, a Cipher) KEK { return newKEK(&aeadSource{name: name, cipher: a}) }

// Kind is what k is made of, "" for the zero value.
func (k KEK) Kind() Kind {
	if k.source == nil {
		return ""
	}
	return (*k.source).kind()
}

// Check returns ErrKEK where Prepare would, without the cost of it.
func (k KEK) Check() error {
	if k.source == nil {
		return fmt.Errorf("%w: the zero value of keyset.KEK", ErrKEK)
	}
	return (*k.source).check()
}

// Resolve is k with what it is made of at hand: FromEnv's variable is read. ErrKEK where k is unusable.
func (k KEK) Resolve() (KEK, error) {
	if err := k.Check(); err != nil {
		return KEK{}, err
	}
	if env, ok := (*k.source).(*envSource); ok {
		p, err := env.passphrase()
		if err != nil {
			return KEK{}, err
		}
		return newKEK(p), nil
	}
	return k, nil
}

// String is the kind: a KEK's secret is never printed.
func (k KEK) String() string {
	if k.source == nil {
		return "no KEK"
	}
	return string(k.Kind()) + " KEK"
}

// GoString is String.
func (k KEK) GoString() string { return k.String() }

// source is where a KEK comes from.
type source interface {
	kind() Kind
	check() error
	// fresh makes a key for a new wrapping, and the parameters to store.
	fresh() (params string, c Cipher, err error)
	// stored makes the key that those parameters, which may be an attacker's, were stored for.
	stored(params string) (Cipher, error)
}

type passphraseSource struct {
	passphrase string
	cost       kdf.Cost
}

func (s *passphraseSource) kind() Kind { return KindPassphrase }

func (s *passphraseSource) check() error {
	if s.passphrase == "" {
		return fmt.Errorf("%w: the passphrase is empty", ErrKEK)
	}
	if err := s.cost.Check(); err != nil {
		return fmt.Errorf("%w: %w", ErrKEK, err)
	}
	return nil
}

func (s *passphraseSource) fresh() (string, Cipher, error) {
	params, err := kdf.New(s.cost)
	if err != nil {
		return "", nil, fmt.Errorf("%w: %w", ErrKEK, err)
	}
	c, err := newCipher(params.Key(s.passphrase))
	return params.String(), c, err
}

func (s *passphraseSource) stored(text string) (Cipher, error) {
	params, err := kdf.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrongKEK, err)
	}
	return newCipher(params.Key(s.passphrase))
}

// envSource is a passphrase that is looked up when it is needed.
type envSource struct{ names []string }

func (s *envSource) kind() Kind { return KindPassphrase }

func (s *envSource) check() error {
	_, err := s.passphrase()
	return err
}

func (s *envSource) passphrase() (*passphraseSource, error) {
	if len(s.names) != 1 {
		return nil, fmt.Errorf("%w: %d environment variables are named, want one", ErrKEK, len(s.names))
	}
	value := os.Getenv(s.names[0])
	if value == "" {
		return nil, fmt.Errorf("%w: the environment variable %q is unset or empty", ErrKEK, s.names[0])
	}
	return &passphraseSource{passphrase: value, cost: kdf.DefaultCost()}, nil
}

func (s *envSource) fresh() (string, Cipher, error) {
	p, err := s.passphrase()
	if err != nil {
		return "", nil, err
	}
	return p.fresh()
}

func (s *envSource) stored(params string) (Cipher, error) {
	p, err := s.passphrase()
	if err != nil {
		return nil, err
	}
	return p.stored(params)
}

type rawSource struct{ key []byte }

func (s *rawSource) kind() Kind { return KindRawKey }

func (s *rawSource) check() error {
	if len(s.key) != RawKeySize {
		return fmt.Errorf("%w: a raw key of %d bytes, want %d", ErrKEK, len(s.key), RawKeySize)
	}
	return nil
}

func (s *rawSource) fresh() (string, Cipher, error) {
	c, err := newCipher(s.key)
	return "", c, err
}

func (s *rawSource) stored(params string) (Cipher, error) {
	if params != "" {
		return nil, fmt.Errorf("%w: parameters for a raw key", ErrWrongKEK)
	}
	return newCipher(s.key)
}

type aeadSource struct {
	name   string
	cipher Cipher
}

func (s *aeadSource) kind() Kind { return KindAEAD }

func (s *aeadSource) check() error {
	switch {
	case s.cipher == nil:
		return fmt.Errorf("%w: a nil AEAD", ErrKEK)
	case s.name == "" || len(s.name) > maxAEADName || !utf8.ValidString(s.name) || strings.ContainsRune(s.name, 0):
		return fmt.Errorf("%w: the name of an AEAD is UTF-8 of 1 to %d bytes, without NUL", ErrKEK, maxAEADName)
	}
	return nil
}

func (s *aeadSource) fresh() (string, Cipher, error) { return s.name, s.cipher, nil }

func (s *aeadSource) stored(params string) (Cipher, error) {
	if params != s.name {
		return nil, fmt.Errorf("%w: it is wrapped by the AEAD %.400q, not by %.400q", ErrWrongKEK, params, s.name)
	}
	return s.cipher, nil
}

// newCipher is XChaCha20-Poly1305 under a key of 32 bytes: random nonces, no prefix.
func newCipher(key []byte) (Cipher, error) { return subtle.NewXChaCha20Poly1305(key) }
