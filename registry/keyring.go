package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

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
	wrapped    []byte     // handle, as it is stored
	kek        keyset.KEK // what it was opened with, or is stored under
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
	return k != nil && k != locked && sameKeyset(k.row(), row)
}

const reopen = "if it was decrypted and encrypted again, open the registry anew; else find out who put that there"

// row returns k as it is stored, but for the mark of a scrub.
func (k *keyring) row() db.GetKeysetRow {
	return db.GetKeysetRow{
		RegistryID: k.registryID, Generation: k.generation, Marker: k.marker,
		KEK: string(k.wrapper.Kind()), KEKParams: k.wrapper.Params(), Wrapped: k.wrapped,
	}
}

// isSame reports whether other is the same generation of the same keyset.
func (k *keyring) isSame(other *keyring) bool {
	return other != nil && other != locked && k.registryID == other.registryID && k.generation == other.generation &&
		bytes.Equal(k.wrapped, other.wrapped)
}

// newKeyring makes a generation that is yet to be stored: a keyset, wrapped by w. The KEK may take its time.
func newKeyring(
	ctx context.Context, registryID string, generation int64, handle *keyset.Handle, w *keyset.Wrapper, kek keyset.KEK,
) (*keyring, error) {
	k := &keyring{
		registryID: registryID, generation: generation, marker: envelope.Marker(handle.Primary()), handle: handle, wrapper: w, kek: kek,
	}
	var err error
	k.wrapped, err = w.WrapWithContext(ctx, handle, k.binding())
	return k, err
}

// openKeyring opens what is stored in row. It returns ErrWrongKey if w does not open it, or it is not what was stored.
func openKeyring(ctx context.Context, row db.GetKeysetRow, w *keyset.Wrapper, kek keyset.KEK) (*keyring, error) {
	k := &keyring{
		registryID: row.RegistryID, generation: row.Generation, marker: row.Marker, wrapper: w, wrapped: row.Wrapped, kek: kek,
	}
	primary, err := envelope.KeyID(row.Marker)
	if err != nil || envelope.Marker(primary) != row.Marker {
		return nil, fmt.Errorf("%w: the keyset's marker was altered", ErrWrongKey)
	}
	if k.handle, err = w.UnwrapWithContext(ctx, row.Wrapped, k.binding()); err != nil {
		return nil, err
	}
	if k.handle.Primary() != primary {
		return nil, fmt.Errorf("%w: the keyset's marker is not its primary key's", ErrWrongKey)
	}
	return k, nil
}

// follows returns ErrWrongKey unless a keyset's row is k's own or comes after it: a registry keeps its id, and its generations grow. An
// older one that was put back holds keys that may be known by now.
func (k *keyring) follows(row db.GetKeysetRow) error {
	switch {
	case k == nil || k == locked || k.isOf(row):
		return nil
	case row.RegistryID != k.registryID:
		return fmt.Errorf("%w: the file holds another registry (%.40q) than the one that was opened", ErrWrongKey, row.RegistryID)
	case row.Generation == k.generation:
		return fmt.Errorf("%w: the keyset in the file is another one of the same generation (%d); "+reopen, ErrWrongKey, row.Generation)
	case row.Generation < k.generation:
		return fmt.Errorf("%w: the keyset in the file is of generation %d, older than the one in use (%d); "+reopen,
			ErrWrongKey, row.Generation, k.generation)
	}
	return nil
}

// binding returns the associated data of the wrapped keyset.
func (k *keyring) binding() []byte {
	primary, _ := envelope.KeyID(k.marker) // a marker of ours has one
	return envelope.Keyset(k.registryID, k.generation, primary, string(k.wrapper.Kind()), k.wrapper.Params())
}
