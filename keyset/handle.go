package keyset

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Handle is a keyset: one primary key, which encrypts, and others, which still decrypt. It is immutable and safe for
// concurrent use: what changes a keyset returns another one. Printing it shows ids, never keys.
type Handle struct {
	tink *veil[*keyset.Handle]
	aead *veil[tink.AEAD]
	keys []Key
}

// Key is what may be known of a key.
type Key struct {
	ID       uint32
	Primary  bool
	Status   string // "enabled"; the registry itself makes no others
	Template Template
}

// Info is what may be known of a registry's keyset.
type Info struct {
	Generation int64  // grows by one with each rotation's steps, each rewrap and each rekey
	KEK        Kind   // of the key-encryption key that wraps it
	KEKParams  string // a passphrase's Argon2id parameters, salt and commitment, an AEAD's name; no secret
	Primary    uint32 // the id of the key that new values are encrypted under
	Keys       []Key
}

// New is a keyset with one fresh key.
func New(t Template) (*Handle, error) { return add(keyset.NewManager(), t) }

// WithPrimary is h with a fresh key more, which is the primary one.
func (h *Handle) WithPrimary(t Template) (*Handle, error) {
	return add(keyset.NewManagerFromHandle(h.tink.reveal()), t)
}

// Without is h without those keys. The primary one stays: naming it is an error, and so is an id that h does not have.
func (h *Handle) Without(ids ...uint32) (*Handle, error) {
	m := keyset.NewManagerFromHandle(h.tink.reveal())
	for _, id := range ids {
		if err := m.Delete(id); err != nil {
			return nil, fmt.Errorf("delete key %08x: %w", id, err)
		}
	}
	return fromManager(m)
}

// Keys are what may be known of the keys, the caller's to keep.
func (h *Handle) Keys() []Key { return slices.Clone(h.keys) }

// Primary is the id of the key that encrypts.
func (h *Handle) Primary() uint32 {
	for _, k := range h.keys {
		if k.Primary {
			return k.ID
		}
	}
	return 0 // no handle is made without one
}

// Template is the algorithm of the primary key.
func (h *Handle) Template() Template {
	for _, k := range h.keys {
		if k.Primary {
			return k.Template
		}
	}
	return 0 // no handle is made without one
}

// Has reports whether there is a key of that id.
func (h *Handle) Has(id uint32) bool {
	return slices.ContainsFunc(h.keys, func(k Key) bool { return k.ID == id })
}

// Encrypt encrypts under the primary key. The ciphertext begins with 0x01 and the key's id, 4 bytes, big-endian.
func (h *Handle) Encrypt(plaintext, associatedData []byte) ([]byte, error) {
	return h.aead.reveal().Encrypt(plaintext, associatedData)
}

// Decrypt decrypts under the key that the ciphertext names. Its errors do not say what is wrong: there is no telling.
func (h *Handle) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	return h.aead.reveal().Decrypt(ciphertext, associatedData)
}

// String is the ids of the keys, the primary one in brackets.
func (h *Handle) String() string {
	if h == nil {
		return "keyset <nil>"
	}
	var b strings.Builder
	b.WriteString("keyset")
	for _, k := range h.keys {
		if k.Primary {
			fmt.Fprintf(&b, " [%08x]", k.ID)
		} else {
			fmt.Fprintf(&b, " %08x", k.ID)
		}
	}
	return b.String()
}

// GoString is String: %#v shows no key either.
func (h *Handle) GoString() string { return h.String() }

func add(m *keyset.Manager, t Template) (*Handle, error) {
	parameters, err := t.parameters()
	if err != nil {
		return nil, err
	}
	id, err := m.AddNewKeyFromParameters(parameters)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	if err := m.SetPrimary(id); err != nil {
		return nil, err
	}
	return fromManager(m)
}

func fromManager(m *keyset.Manager) (*Handle, error) {
	h, err := m.Handle()
	if err != nil {
		return nil, err
	}
	return fromTink(h)
}

// fromTink takes over a handle, and refuses keys that are not of one of the templates.
func fromTink(handle *keyset.Handle) (*Handle, error) {
	h := &Handle{tink: veiled(handle)}
	for i := range handle.Len() {
		entry, err := handle.Entry(i)
		if err != nil {
			return nil, err
		}
		template, err := templateOf(entry.Key().Parameters())
		if err != nil {
			return nil, err
		}
		h.keys = append(h.keys, Key{
			ID: entry.KeyID(), Primary: entry.IsPrimary(), Status: statusName(entry.KeyStatus()), Template: template,
		})
	}
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	h.aead = veiled(primitive)
	return h, nil
}

func statusName(s keyset.KeyStatus) string {
	switch s {
	case keyset.Enabled:
		return "enabled"
	case keyset.Disabled:
		return "disabled"
	case keyset.Destroyed:
		return "destroyed"
	}
	return "unknown"
}
