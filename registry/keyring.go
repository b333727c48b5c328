package registry

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
)

// configTable is the table whose values are encrypted, as their associated data names it.
const configTable = "config"

// keyring is one generation of a registry's keyset, opened. It is immutable: who has one reads on with it, whatever
// happens to the keyset meanwhile. A nil keyring is a plaintext registry's.
type keyring struct {
	registryID string
	generation int64
	marker     string // what values under the primary key start with
	handle     *keyset.Handle
	wrapper    *keyset.Wrapper
	wrapped    []byte // handle, as it is stored
}

// locked is the keyring of whoever opened an encrypted registry without a key.
var locked = &keyring{}

var errNoKey = fmt.Errorf("%w, and was opened without its key", ErrEncrypted)

// sealed is JSON as it is stored: encrypted under the primary key, for this row alone.
func (k *keyring) sealed(key string, json []byte) (string, error) {
	switch k {
	case nil:
		return string(json), nil
	case locked:
		return "", errNoKey
	}
	space := workspaces.Get().(*workspace)
	defer workspaces.Put(space)
	space.binding = envelope.AppendValue(space.binding[:0], k.registryID, configTable, key, k.handle.Primary())
	ciphertext, err := k.handle.Encrypt(json, space.binding)
	if err != nil {
		return "", fmt.Errorf("encrypt: %w", err)
	}
	return envelope.Seal(ciphertext)
}

// opened is the JSON in what is stored: ErrTampered where it is not what this registry encrypted for this row.
func (k *keyring) opened(key, text string) ([]byte, error) {
	switch k {
	case nil:
		if envelope.IsEncrypted(text) {
			return nil, ErrEncrypted
		}
		return []byte(text), nil
	case locked:
		return nil, errNoKey
	}
	space := workspaces.Get().(*workspace)
	defer workspaces.Put(space)
	id, ciphertext, err := envelope.Open(text, space.buffer(2*len(text)))
	switch {
	case errors.Is(err, envelope.ErrVersion):
		return nil, fmt.Errorf("%w: %w", ErrNewerSchema, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrTampered, err)
	case !k.handle.Has(id):
		return nil, fmt.Errorf("%w: the keyset has no key %08x", ErrTampered, id)
	}
	space.binding = envelope.AppendValue(space.binding[:0], k.registryID, configTable, key, id)
	json, err := k.handle.Decrypt(ciphertext, space.binding)
	if err != nil {
		return nil, fmt.Errorf("%w: it was not encrypted for this key of this registry", ErrTampered)
	}
	return json, nil
}

// workspace is what sealing or opening a value needs beside the value, kept for the next one. Nothing in it is secret.
type workspace struct {
	ciphertext []byte
	binding    []byte
}

var workspaces = sync.Pool{New: func() any { return new(workspace) }}

// buffer has room for so many bytes.
func (w *workspace) buffer(size int) []byte {
	if size > maxWorkspace {
		return make([]byte, 0, size)
	}
	if cap(w.ciphertext) < size {
		w.ciphertext = make([]byte, 0, size)
	}
	return w.ciphertext
}

// maxWorkspace is the largest buffer that is kept, in bytes: one large value must not occupy memory for ever.
const maxWorkspace = 64 << 10

// lacks reports whether text is what another generation of the keyset may open.
func (k *keyring) lacks(text string) bool {
	switch k {
	case nil:
		return envelope.IsEncrypted(text)
	case locked:
		return false
	}
	if strings.HasPrefix(text, k.marker) {
		return false
	}
	id, err := envelope.KeyID(text)
	return errors.Is(err, envelope.ErrMalformed) || err == nil && !k.handle.Has(id)
}

// isOf reports whether k is what is stored in row.
func (k *keyring) isOf(row db.GetKeysetRow) bool {
	return k != nil && k != locked && k.registryID == row.RegistryID && k.generation == row.Generation &&
		k.marker == row.Marker && string(k.wrapper.Kind()) == row.KEK && k.wrapper.Params() == row.KEKParams &&
		bytes.Equal(k.wrapped, row.Wrapped)
}

// newKeyring is a generation that is yet to be stored: a keyset, wrapped by w.
func newKeyring(registryID string, generation int64, handle *keyset.Handle, w *keyset.Wrapper) (_ *keyring, err error) {
	k := &keyring{
		registryID: registryID, generation: generation, marker: envelope.Marker(handle.Primary()), handle: handle, wrapper: w,
	}
	k.wrapped, err = w.Wrap(handle, k.binding())
	return k, err
}

// binding is the associated data of the wrapped keyset.
func (k *keyring) binding() []byte {
	primary, _ := envelope.KeyID(k.marker) // a marker of ours has one
	return envelope.Keyset(k.registryID, k.generation, primary, string(k.wrapper.Kind()), k.wrapper.Params())
}

// secrets is what a Registry needs to open keysets, and the newest that it opened.
type secrets struct {
	keyed   bool // there is a KEK
	current atomic.Pointer[keyring]

	mu      sync.Mutex // held while a keyset is opened
	kek     keyset.KEK
	derived *keyset.Wrapper // the newest that the KEK was made ready for
	// Keyrings that this process stored itself, and which the KEK may not open: the one that is being stored, or of which it
	// is unknown whether it was; and the last few before it, which older snapshots still have.
	pending  *keyring
	replaced []*keyring
}

// maxReplaced is how many keysets may be stored while a caller goes from reading one to opening it.
const maxReplaced = 8

// load opens the keyset that is stored in row, or takes the one that is open already. ErrWrongKey where the KEK does not
// open it, or it is not what was stored.
func (s *secrets) load(row db.GetKeysetRow) (*keyring, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := s.current.Load()
	for _, k := range []*keyring{current, s.pending} {
		if k.isOf(row) {
			return k, nil
		}
	}
	k, err := s.open(row)
	if err != nil {
		return nil, err
	}
	if current == nil || current == locked || current.generation <= k.generation {
		s.current.Store(k)
	}
	return k, nil
}

func (s *secrets) open(row db.GetKeysetRow) (*keyring, error) {
	// Deriving may take long, on purpose: an attacker's rows, and others' rotations, must not make it happen again.
	if w := s.derived; w == nil || string(w.Kind()) != row.KEK || w.Params() != row.KEKParams {
		w, err := s.kek.PrepareStored(keyset.Kind(row.KEK), row.KEKParams)
		if err != nil {
			return nil, err
		}
		s.derived = w
	}
	k := &keyring{
		registryID: row.RegistryID, generation: row.Generation, marker: row.Marker, wrapper: s.derived, wrapped: row.Wrapped,
	}
	primary, err := envelope.KeyID(row.Marker)
	if err != nil || envelope.Marker(primary) != row.Marker {
		return nil, fmt.Errorf("%w: the keyset's marker was altered", ErrWrongKey)
	}
	if k.handle, err = k.wrapper.Unwrap(row.Wrapped, k.binding()); err != nil {
		return nil, err
	}
	if k.handle.Primary() != primary {
		return nil, fmt.Errorf("%w: the keyset's marker is not its primary key's", ErrWrongKey)
	}
	return k, nil
}

// former is the keyring that this process replaced, where row is that one's, and nil otherwise. It is for reading an older
// snapshot only: a row that was put back must not make anybody encrypt under keys whose KEK was revoked.
func (s *secrets) former(row db.GetKeysetRow) *keyring {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.replaced {
		if k.isOf(row) {
			return k
		}
	}
	return nil
}

// storing says that k is about to be stored: whoever reads it before adopt is called opens it all the same.
func (s *secrets) storing(k *keyring) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = k
}

// adopt makes k the current keyring, which this process stored itself in the place of former, and kek what opens the ones to
// come.
func (s *secrets) adopt(former, k *keyring, kek keyset.KEK) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kek, s.derived = kek, k.wrapper
	s.replaced = append(s.replaced, former) // current may be k by now: others read it before this process was told
	s.replaced = s.replaced[max(0, len(s.replaced)-maxReplaced):]
	s.pending = nil
	s.current.Store(k)
}
