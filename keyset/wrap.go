package keyset

import (
	"context"
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Wrapper is a KEK made ready: derived, if that takes something. It is immutable and safe for concurrent use.
type Wrapper struct {
	kind   Kind
	params string
	cipher *veil[ContextCipher]
}

// Prepare calls PrepareWithContext with a context that does not end.
func (k KEK) Prepare() (*Wrapper, error) { return k.PrepareWithContext(context.Background()) }

// PrepareWithContext makes k ready for a new wrapping: a passphrase gets a fresh salt, and takes the time of its derivation. It
// returns ErrKEK if k is unusable, and ctx's error if that ends before the derivation has begun.
func (k KEK) PrepareWithContext(ctx context.Context) (*Wrapper, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	params, c, err := k.source.reveal().fresh(ctx)
	if err != nil {
		return nil, err
	}
	return &Wrapper{kind: k.Kind(), params: params, cipher: veiled(c)}, nil
}

// PrepareStored calls PrepareStoredWithContext with a context that does not end.
func (k KEK) PrepareStored(kind Kind, params string) (*Wrapper, error) {
	return k.PrepareStoredWithContext(context.Background(), kind, params)
}

// PrepareStoredWithContext makes k ready for what was stored with that kind and those parameters. It returns ErrWrongKEK if they are
// not of a KEK such as k, if they are outside of the bounds, which is checked before they cost anything, and if a passphrase is not
// the one that they commit to; ErrKEK if k is unusable; ctx's error if that ends before a derivation has begun.
func (k KEK) PrepareStoredWithContext(ctx context.Context, kind Kind, params string) (*Wrapper, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	if kind != k.Kind() {
		return nil, fmt.Errorf("%w: it is wrapped by one of kind %.100q, not %q", ErrWrongKEK, string(kind), string(k.Kind()))
	}
	c, err := k.source.reveal().stored(ctx, params)
	if err != nil {
		return nil, err
	}
	return &Wrapper{kind: kind, params: params, cipher: veiled(c)}, nil
}

// Kind returns the KEK's, to be stored beside what it wrapped.
func (w *Wrapper) Kind() Kind { return w.kind }

// Params returns the KEK's, to be stored beside what it wrapped: a passphrase's Argon2id parameters, salt and commitment, an
// AEAD's name, "" for a raw key.
func (w *Wrapper) Params() string { return w.params }

// Wrap calls WrapWithContext with a context that does not end.
func (w *Wrapper) Wrap(h *Handle, associatedData []byte) ([]byte, error) {
	return w.WrapWithContext(context.Background(), h, associatedData)
}

// WrapWithContext encrypts a keyset: the KEK's ciphertext of Tink's serialized Keyset, which is what Tink's EncryptedKeyset has
// in its field encrypted_keyset. What Tink has beside it there, and does not authenticate, is left out. What was encrypted is
// decrypted once, to make sure that the KEK can: a service may be allowed the one and not the other. ErrWrongKEK then.
//
// The context goes to the KEK if that takes one. Nothing else here takes long.
func (w *Wrapper) WrapWithContext(ctx context.Context, h *Handle, associatedData []byte) ([]byte, error) {
	var wrapped carrier
	tap := &tap{ContextCipher: w.cipher.reveal()}
	if err := h.tink.reveal().WriteWithContext(ctx, &wrapped, tap, associatedData); err != nil {
		return nil, fmt.Errorf("wrap the keyset: %w", tap.reason(err))
	}
	if _, err := w.UnwrapWithContext(ctx, wrapped.ciphertext, associatedData); err != nil {
		return nil, fmt.Errorf("wrap the keyset: open it again: %w", err)
	}
	return wrapped.ciphertext, nil
}

// Unwrap calls UnwrapWithContext with a context that does not end.
func (w *Wrapper) Unwrap(ciphertext, associatedData []byte) (*Handle, error) {
	return w.UnwrapWithContext(context.Background(), ciphertext, associatedData)
}

// UnwrapWithContext returns the keyset that was wrapped with the same associated data. It returns ErrWrongKEK if the KEK, the
// associated data or the ciphertext is another, ErrUnsupported if the keyset holds a key that is of none of the templates. The
// context goes to the KEK if that takes one.
func (w *Wrapper) UnwrapWithContext(ctx context.Context, ciphertext, associatedData []byte) (*Handle, error) {
	tap := &tap{ContextCipher: w.cipher.reveal()}
	h, err := keyset.ReadWithContext(ctx, &carrier{ciphertext}, tap, associatedData)
	switch {
	case err != nil && tap.opened:
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	case err != nil && w.kind == KindAEAD:
		return nil, fmt.Errorf("%w: %w", ErrWrongKEK, tap.reason(err))
	case err != nil: // a cipher of this package's only says once more that it does not open
		return nil, ErrWrongKEK
	}
	return fromTink(h)
}

// String returns the kind.
func (w *Wrapper) String() string { return string(w.kind) + " wrapper" }

// GoString returns what String does.
func (w *Wrapper) GoString() string { return w.String() }

// withContext returns c itself if its calls take a context, and otherwise c with the contexts left out.
func withContext(c Cipher) ContextCipher {
	if takes, ok := c.(ContextCipher); ok {
		return takes
	}
	return contextless{c}
}

// contextless is a cipher whose calls take no context.
type contextless struct{ Cipher }

func (c contextless) EncryptWithContext(_ context.Context, plaintext, associatedData []byte) ([]byte, error) {
	return c.Encrypt(plaintext, associatedData)
}

func (c contextless) DecryptWithContext(_ context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	return c.Decrypt(ciphertext, associatedData)
}

// tap keeps what a cipher said: Tink passes on the text of its error only.
type tap struct {
	ContextCipher
	err    error
	opened bool // DecryptWithContext succeeded
}

func (t *tap) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) (_ []byte, err error) {
	defer func() { t.err = err }()
	return t.ContextCipher.EncryptWithContext(ctx, plaintext, associatedData)
}

func (t *tap) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) (_ []byte, err error) {
	defer func() { t.err, t.opened = err, err == nil }()
	return t.ContextCipher.DecryptWithContext(ctx, ciphertext, associatedData)
}

// reason returns the cipher's own error if that is what failed, and err otherwise.
func (t *tap) reason(err error) error {
	if t.err != nil {
		return t.err
	}
	return err
}

// carrier is a Tink reader and writer of the ciphertext alone.
type carrier struct{ ciphertext []byte }

var errCleartext = errors.New("a keyset is never read or written in the clear")

func (c *carrier) Read() (*tinkpb.Keyset, error) { return nil, errCleartext }

func (c *carrier) Write(*tinkpb.Keyset) error { return errCleartext }

func (c *carrier) ReadEncrypted() (*tinkpb.EncryptedKeyset, error) {
	return &tinkpb.EncryptedKeyset{EncryptedKeyset: c.ciphertext}, nil
}

func (c *carrier) WriteEncrypted(k *tinkpb.EncryptedKeyset) error {
	c.ciphertext = k.GetEncryptedKeyset()
	return nil
}
