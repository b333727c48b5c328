package envelope

import "encoding/binary"

// What a ciphertext is for: the first field of its associated data.
const (
	valuePurpose  = "stateregistry/value"
	keysetPurpose = "stateregistry/keyset"
)

// bindingVersion is that of the lists of fields below.
const bindingVersion = 1

// AppendValue appends to b the associated data of a value: it opens in this row of this table of this registry only, under
// this key.
func AppendValue(b []byte, registryID, table, key string, keyID uint32) []byte {
	return binding(b).text(valuePurpose).uint32(bindingVersion).text(registryID).text(table).text(key).uint32(keyID)
}

// Keyset is the associated data of a wrapped keyset: it opens in this registry only, as this generation, with this primary
// key, and with the KEK's kind and parameters as they are stored.
func Keyset(registryID string, generation int64, primary uint32, kek, params string) []byte {
	b := make(binding, 0, len(keysetPurpose)+len(registryID)+len(kek)+len(params)+7*lengthSize+2*4+8)
	return b.text(keysetPurpose).uint32(bindingVersion).text(registryID).uint64(uint64(generation)).uint32(primary).
		text(kek).text(params)
}

// binding is a list of fields, each after its length: no two lists have the same encoding.
type binding []byte

// lengthSize is the size of a length in bytes; it is big-endian.
const lengthSize = 4

func (b binding) text(field string) binding {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(field))), field...)
}

func (b binding) uint32(field uint32) binding {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, 4), field)
}

func (b binding) uint64(field uint64) binding {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), field)
}
