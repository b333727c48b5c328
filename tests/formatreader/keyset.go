package formatreader

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
)

// Keyset is an opened keyset.
type Keyset struct {
	Generation int64
	Primary    uint32
	keys       []Key
}

// Key is a key of a keyset. One that is not enabled opens nothing.
type Key struct {
	ID        uint32
	Algorithm string
	Enabled   bool
	open      opener
}

// Keys are the keys, without what they open with.
func (k *Keyset) Keys() []Key {
	keys := slices.Clone(k.keys)
	for i := range keys {
		keys[i].open = nil
	}
	return keys
}

// find is the key of an id that may be used, or nil.
func (k *Keyset) find(id uint32) *Key {
	i := slices.IndexFunc(k.keys, func(one Key) bool { return one.ID == id && one.Enabled })
	if i < 0 {
		return nil
	}
	return &k.keys[i]
}

// keyset opens the keyset of an encrypted registry. Whether the registry is one is for the caller's KEK to say.
func (c *Content) keyset(tx *sql.Tx, kek *KEK) (*Keyset, error) {
	if c.Version < keysetVersion {
		if kek != nil {
			return nil, ErrNotEncrypted
		}
		return nil, nil
	}
	var k Keyset
	var marker, kind, params string
	var wrapped []byte
	err := tx.QueryRow("SELECT generation, marker, kek, kek_params, wrapped FROM keyset WHERE one = 1").
		Scan(&k.Generation, &marker, &kind, &params, &wrapped)
	switch missing := errors.Is(err, sql.ErrNoRows); {
	case missing && kek == nil:
		return nil, nil
	case missing:
		return nil, ErrNotEncrypted
	case err != nil:
		return nil, err
	case kek == nil:
		return nil, ErrEncrypted
	}
	if kind != kek.kind || k.Generation < 1 {
		return nil, fmt.Errorf("%w: another kind of key", ErrWrongKey)
	}
	primary, rest, err := parseMarker(marker)
	if err != nil || rest != "" {
		return nil, fmt.Errorf("%w: not a marker", ErrWrongKey)
	}
	message, err := kek.unwrap(params, wrapped, keysetAssociatedData(c.RegistryID, k.Generation, primary, kind, params))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrWrongKey, err)
	}
	if err := k.parse(message); err != nil {
		return nil, err
	}
	if k.Primary != primary {
		return nil, fmt.Errorf("%w: the marker names another key", ErrWrongKey)
	}
	return &k, nil
}

// keysetAssociatedData binds a wrapped keyset to its row.
func keysetAssociatedData(registryID string, generation int64, primary uint32, kind, params string) []byte {
	return fields([]byte("stateregistry/keyset"), number4(1), []byte(registryID), number8(uint64(generation)), number4(primary),
		[]byte(kind), []byte(params))
}

// The numbers of Tink's enums. DISABLED is between the first two.
const (
	statusEnabled   = 1
	statusDestroyed = 3
	prefixTink      = 1
	symmetric       = 1
)

// parse reads google.crypto.tink.Keyset.
func (k *Keyset) parse(message []byte) error {
	m, err := parseMessage(message)
	if err != nil {
		return err
	}
	if k.Primary, err = m.uint32(1); err != nil {
		return err
	}
	keys, err := m.all(2)
	if err != nil {
		return err
	}
	for _, text := range keys {
		one, err := parseKey(text)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(k.keys, func(other Key) bool { return other.ID == one.ID }) {
			return fmt.Errorf("%w: two keys of one id", ErrWrongKey)
		}
		k.keys = append(k.keys, one)
	}
	if k.find(k.Primary) == nil {
		return fmt.Errorf("%w: no primary key", ErrWrongKey)
	}
	return nil
}

// parseKey reads google.crypto.tink.Keyset.Key.
func parseKey(text []byte) (Key, error) {
	m, err := parseMessage(text)
	if err != nil {
		return Key{}, err
	}
	data, err := m.message(1)
	if err != nil {
		return Key{}, err
	}
	numbers, err := m.uint32s(2, 3, 4)
	if err != nil {
		return Key{}, err
	}
	status, id, prefix := numbers[0], numbers[1], numbers[2]
	if status < statusEnabled || status > statusDestroyed {
		return Key{}, fmt.Errorf("%w: an unknown status", ErrWrongKey)
	}
	if prefix != prefixTink {
		return Key{}, fmt.Errorf("%w: a key without Tink's prefix", ErrNewer)
	}
	k := Key{ID: id, Enabled: status == statusEnabled}
	k.Algorithm, k.open, err = parseKeyData(data)
	return k, err
}

// parseKeyData reads google.crypto.tink.KeyData, and the key in it.
func parseKeyData(m message) (name string, open opener, err error) {
	url, err := m.bytes(1)
	if err != nil {
		return "", nil, err
	}
	value, err := m.message(2)
	if err != nil {
		return "", nil, err
	}
	material, err := m.uint32(3)
	if err != nil {
		return "", nil, err
	}
	version, err := value.uint32(1)
	if err != nil {
		return "", nil, err
	}
	secret, err := value.bytes(3)
	if err != nil {
		return "", nil, err
	}
	a, known := algorithms[string(url)]
	if known && a.hasSalt {
		known, err = hasXAESSalt(value)
	}
	if err == nil && (!known || material != symmetric || version != 0 || len(secret) != 32) {
		err = fmt.Errorf("%w: an unknown kind of key", ErrNewer)
	}
	if err != nil {
		return "", nil, err
	}
	return a.name, a.opener(secret), nil
}

// hasXAESSalt reads google.crypto.tink.XAesGcmParams.
func hasXAESSalt(key message) (bool, error) {
	params, err := key.message(2)
	if err != nil {
		return false, err
	}
	size, err := params.uint32(1)
	return size == xaesSalt, err
}
