package keyset

import (
	"bytes"
	"context"
	"errors"
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
type KEK struct{ source *veil[source] }

func newKEK(s source) KEK { return KEK{veiled(s)} }

// Cipher is what an [AEAD] KEK is made of. Tink's tink.AEAD is one. Decrypt must fail on a ciphertext that Encrypt did not
// make with the same associated data.
type Cipher interface {
	Encrypt(plaintext, associatedData []byte) ([]byte, error)
	Decrypt(ciphertext, associatedData []byte) ([]byte, error)
}

// ContextCipher is a [Cipher] whose calls a context can end. Tink's tink.AEADWithContext is one.
type ContextCipher interface {
	EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error)
	DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error)
}

// Passphrase returns a KEK that is derived from a passphrase with Argon2id: 64 MiB of memory, 3 passes, 4 lanes, and a random
// salt of 16 bytes, all stored beside the keyset. Opening a registry takes that long, reading and writing does not. What is
// stored is used only if it costs at least as much, and commits to the key: a file stands for one passphrase. A process derives one
// key at a time. The bytes of the passphrase are taken as they are; an empty one is ErrKEK. A guessable passphrase stays guessable to whoever has the file.
func Passphrase(passphrase string) KEK { return PassphraseAtCost(passphrase, kdf.DefaultCost()) }

// PassphraseAtCost returns a Passphrase with another cost, for new wrappings and as the least that is accepted in a file. It is
// for this module's own tests: nobody else can name the type of the cost.
func PassphraseAtCost(passphrase string, cost kdf.Cost) KEK {
	return newKEK(&passphraseSource{passphrase: passphrase, cost: cost})
}

// FromEnv returns the Passphrase that an environment variable holds: OXIDE_REGISTRY_KEY, or the one that is named. It is read
// when the KEK is used, by OpenEncrypted, Encrypt, Decrypt, Rewrap and Rekey, and may be unset after that, so that no child
// process inherits it. One that is unset or empty is ErrKEK, and so is more than one name.
func FromEnv(name ...string) KEK {
	s := &envSource{names: slices.Clone(name)}
	if len(name) == 0 {
		s.names = []string{DefaultEnv}
	}
	return newKEK(s)
}

// RawKey returns a KEK that is the key itself: 32 bytes from a good source of randomness; another size is ErrKEK. The bytes are
// copied.
func RawKey(key []byte) KEK { return newKEK(&rawSource{key: bytes.Clone(key)}) }

// AEAD returns a KEK that lives somewhere else, in a KMS for example. The name is stored beside the keyset, where everybody can
// read it, and must be the same when the registry is opened: non-empty UTF-8, at most 1 KiB, no secret. A nil interface, and
// another name than that, are ErrKEK.
//
// The registry calls a when it is opened, rotated, rewrapped or rekeyed, and when another process did one of these; a must be safe
// for concurrent use. If a has the methods of [ContextCipher] too, these are called, with a context that has the values of the first
// call of the registry's that needs the answer, and ends when no call waits for it any more. If it has not, a call of the registry's
// returns when its context ends all the same, and leaves a's call behind. Calls that need the same keyset opened wait for the same
// answer, for ten seconds before one of them asks again; each that wraps a keyset asks for itself. Registry.Close waits for what was
// left behind, for WithLockTimeout at most. (What a failed opening left behind nobody waits for.)
//
// Whatever error Decrypt returns makes the KEK a wrong one (ErrWrongKEK, registry.ErrWrongKey), also if a service is only down:
// that error is wrapped, look for it with errors.Is.
func AEAD(name string, a Cipher) KEK {
	s := &aeadSource{name: name}
	if a != nil {
		s.cipher = withContext(a)
	}
	return newKEK(s)
}

// AEADWithContext returns an [AEAD] of a cipher whose calls all take a context, such as the ones that Tink's extensions for cloud
// KMS make.
func AEADWithContext(name string, a ContextCipher) KEK {
	return newKEK(&aeadSource{name: name, cipher: a})
}

// Kind returns what k is made of, "" for the zero value.
func (k KEK) Kind() Kind {
	if k.source == nil {
		return ""
	}
	return k.source.reveal().kind()
}

// Check returns ErrKEK if Prepare would, without the cost of it.
func (k KEK) Check() error {
	if k.source == nil {
		return fmt.Errorf("%w: the zero value of keyset.KEK", ErrKEK)
	}
	return k.source.reveal().check()
}

// Resolve returns k with what it is made of at hand: FromEnv's variable is read. It returns ErrKEK if k is unusable.
func (k KEK) Resolve() (KEK, error) {
	if err := k.Check(); err != nil {
		return KEK{}, err
	}
	if env, ok := k.source.reveal().(*envSource); ok {
		p, err := env.passphrase()
		if err != nil {
			return KEK{}, err
		}
		return newKEK(p), nil
	}
	return k, nil
}

// String returns the kind: a KEK's secret is never printed.
func (k KEK) String() string {
	if k.source == nil {
		return "no KEK"
	}
	return string(k.Kind()) + " KEK"
}

// GoString returns what String does.
func (k KEK) GoString() string { return k.String() }

// source is where a KEK comes from.
type source interface {
	kind() Kind
	check() error
	// fresh makes a key for a new wrapping, and the parameters to store.
	fresh(ctx context.Context) (params string, c ContextCipher, err error)
	// stored makes the key that those parameters, which may be an attacker's, were stored for.
	stored(ctx context.Context, params string) (ContextCipher, error)
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

func (s *passphraseSource) fresh(ctx context.Context) (string, ContextCipher, error) {
	params, key, err := kdf.New(ctx, s.passphrase, s.cost)
	if errors.Is(err, kdf.ErrParams) {
		err = fmt.Errorf("%w: %w", ErrKEK, err)
	}
	if err != nil {
		return "", nil, err
	}
	c, err := newCipher(key)
	return params.String(), c, err
}

func (s *passphraseSource) stored(ctx context.Context, text string) (ContextCipher, error) {
	params, err := kdf.Parse(text, s.cost)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrongKEK, err)
	}
	key, err := params.Key(ctx, s.passphrase)
	if errors.Is(err, kdf.ErrPassphrase) { // as where the keyset does not open: the one tells as little as the other
		err = ErrWrongKEK
	}
	if err != nil {
		return nil, err
	}
	return newCipher(key)
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

func (s *envSource) fresh(ctx context.Context) (string, ContextCipher, error) {
	p, err := s.passphrase()
	if err != nil {
		return "", nil, err
	}
	return p.fresh(ctx)
}

func (s *envSource) stored(ctx context.Context, params string) (ContextCipher, error) {
	p, err := s.passphrase()
	if err != nil {
		return nil, err
	}
	return p.stored(ctx, params)
}

type rawSource struct{ key []byte }

func (s *rawSource) kind() Kind { return KindRawKey }

func (s *rawSource) check() error {
	if len(s.key) != RawKeySize {
		return fmt.Errorf("%w: a raw key of %d bytes, want %d", ErrKEK, len(s.key), RawKeySize)
	}
	return nil
}

func (s *rawSource) fresh(context.Context) (string, ContextCipher, error) {
	c, err := newCipher(s.key)
	return "", c, err
}

func (s *rawSource) stored(_ context.Context, params string) (ContextCipher, error) {
	if params != "" {
		return nil, fmt.Errorf("%w: parameters for a raw key", ErrWrongKEK)
	}
	return newCipher(s.key)
}

type aeadSource struct {
	name   string
	cipher ContextCipher
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

func (s *aeadSource) fresh(context.Context) (string, ContextCipher, error) {
	return s.name, s.cipher, nil
}

func (s *aeadSource) stored(_ context.Context, params string) (ContextCipher, error) {
	if params != s.name {
		return nil, fmt.Errorf("%w: it is wrapped by the AEAD %.400q, not by %.400q", ErrWrongKEK, params, s.name)
	}
	return s.cipher, nil
}

// newCipher makes an XChaCha20-Poly1305 under a key of 32 bytes: random nonces, no prefix.
func newCipher(key []byte) (ContextCipher, error) {
	c, err := subtle.NewXChaCha20Poly1305(key)
	if err != nil {
		return nil, err
	}
	return withContext(c), nil
}
