package keyset

import (
	"errors"
	"fmt"

	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
)

// Wrapper is a KEK made ready: derived, where that takes something. It is immutable and safe for concurrent use.
type Wrapper struct {
	kind   Kind
	params string
	cipher *Cipher // behind a pointer as a KEK's source is
}

// Prepare makes k ready for a new wrapping: a passphrase gets a fresh salt, and takes the time of its derivation.
// ErrKEK where k is unusable.
func (k KEK) Prepare() (*Wrapper, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	params, c, err := (*k.source).fresh()
	if err != nil {
		return nil, err
	}
	return &Wrapper{kind: k.Kind(), params: params, cipher: &c}, nil
}

// PrepareStored makes k ready for what was stored with that kind and those parameters. ErrWrongKEK where they are not of a
// KEK such as k, or are outside of the bounds: they are checked before they cost anything. ErrKEK where k is unusable.
func (k KEK) PrepareStored(kind Kind, params string) (*Wrapper, error) {
	if err := k.Check(); err != nil {
		return nil, err
	}
	if kind != k.Kind() {
		return nil, fmt.Errorf("%w: it is wrapped by one of kind %.100q, not %q", ErrWrongKEK, string(kind), string(k.Kind()))
	}
	c, err := (*k.source).stored(params)
	if err != nil {
		return nil, err
	}
	return &Wrapper{kind: kind, params: params, cipher: &c}, nil
}

// Kind is the KEK's, to be stored beside what it wrapped.
func (w *Wrapper) Kind() Kind { return w.kind }

// Params are the KEK's, to be stored beside what it wrapped: a passphrase's Argon2id parameters and salt, an AEAD's name,
// "" for a raw key.
func (w *Wrapper) Params() string { return w.params }

// Wrap encrypts a keyset: the KEK's ciphertext of Tink's serialized Keyset, which is what Tink's EncryptedKeyset has in
// its field encrypted_keyset. What Tink has beside it there, and does not authenticate, is left out. What was encrypted is
// decrypted once, to make sure that the KEK can: a service may be allowed the one and not the other. ErrWrongKEK then.
func (w *Wrapper) Wrap(h *Handle, associatedData []byte) ([]byte, error) {
	var wrapped carrier
	tap := &tap{Cipher: *w.cipher}
	if err := h.tink.WriteWithAssociatedData(&wrapped, tap, associatedData); err != nil {
		return nil, fmt.Errorf("wrap the keyset: %w", tap.reason(err))
	}
	if _, err := w.Unwrap(wrapped.ciphertext, associatedData); err != nil {
		return nil, fmt.Errorf("wrap the keyset: open it again: %w", err)
	}
	return wrapped.ciphertext, nil
}

// Unwrap is the keyset that Wrap encrypted with the same associated data. ErrWrongKEK where the KEK, the associated data
// or the ciphertext is another; ErrUnsupported where it holds a key that is of none of the templates.
func (w *Wrapper) Unwrap(ciphertext, associatedData []byte) (*Handle, error) {
	tap := &tap{Cipher: *w.cipher}
	h, err := keyset.ReadWithAssociatedData(&carrier{ciphertext}, tap, associatedData)
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

// String is the kind.
func (w *Wrapper) String() string { return string(w.kind) + " wrapper" }

// GoString is String.
func (w *Wrapper) GoString() string { return w.String() }

// tap keeps what a cipher said: Tink passes on the text of its error only.
type tap struct {
	Cipher
	err    error
	opened bool // Decrypt succeeded
}

func (t *tap) Encrypt(plaintext, associatedData []byte) (_ []byte, err error) {
	defer func() { t.err = err }()
	return t.Cipher.Encrypt(plaintext, associatedData)
}

func (t *tap) Decrypt(ciphertext, associatedData []byte) (_ []byte, err error) {
	defer func() { t.err, t.opened = err, err == nil }()
	return t.Cipher.Decrypt(ciphertext, associatedData)
}

// reason is the cipher's own error, if that is what failed, and err otherwise.
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
