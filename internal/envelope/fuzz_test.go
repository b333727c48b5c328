package envelope

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzOpen: an envelope has one form, and no text is too odd to be looked at.
func FuzzOpen(f *testing.F) {
	f.Add(sealed)
	f.Add(Marker(ciphertextID))
	f.Add(sealed + "==")
	f.Add(sealed + "\r\n")
	f.Add(sealed[:len(sealed)-1] + "x")
	f.Add("enc:v1:0ABCDEF0:AQq83vD1-_--_w")
	f.Add("enc:v1:0abcdef0:AQq83vD1+/++/w")
	f.Add("enc:v1:0abcdef0:AQq8\n3vD1-_--_w")
	f.Add("enc:v1:0abcdef0:AQq83vA")
	f.Add("enc:v2:0abcdef0:AQq83vD1-_--_w")
	f.Add("enc:v:")
	f.Add(`{"a":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		id, opened, err := Open(text, nil)
		if err == nil {
			again, err := Seal(opened)
			require.NoError(t, err)
			require.Equal(t, text, again)
			require.True(t, strings.HasPrefix(text, Marker(id)))
			require.True(t, IsEncrypted(text))
			ofMarker, err := KeyID(text)
			require.NoError(t, err)
			require.Equal(t, id, ofMarker)
			return
		}
		require.Empty(t, opened)
		if strings.HasPrefix(text, head) {
			require.ErrorIs(t, err, ErrMalformed)
		} else if !errors.Is(err, ErrMalformed) {
			require.ErrorIs(t, err, ErrVersion)
			require.True(t, IsEncrypted(text))
		}
	})
}

// place is all fields that either associated data has.
type place struct {
	registry, a, b string
	id             uint32
	generation     int64
}

func (p place) value() []byte { return AppendValue(nil, p.registry, p.a, p.b, p.id) }

func (p place) keyset() []byte { return Keyset(p.registry, p.generation, p.id, p.a, p.b) }

// FuzzAssociatedData: two places have the same associated data if they are the same place, and only then; no value has that
// of a keyset.
func FuzzAssociatedData(f *testing.F) {
	f.Add("registry", "config", "key", uint32(1), int64(1), "registry", "config", "key", uint32(1), int64(1))
	f.Add("ab", "c", "d", uint32(1), int64(1), "a", "bc", "d", uint32(1), int64(1))
	f.Add("", "", "", uint32(0), int64(0), "\x00\x00\x00\x00", "", "", uint32(0), int64(0))
	f.Add("a", "\x00\x00\x00\x01b", "", uint32(0), int64(-1), "a\x00\x00\x00\x01b", "", "", uint32(0), int64(1<<63-1))
	f.Add("a", "b", "c", uint32(0x01000000), int64(1), "a", "b", "c", uint32(1), int64(1<<56))
	f.Fuzz(func(t *testing.T,
		registry1, a1, b1 string, id1 uint32, generation1 int64, registry2, a2, b2 string, id2 uint32, generation2 int64,
	) {
		one := place{registry1, a1, b1, id1, generation1}
		others := []place{one, {registry2, a2, b2, id2, generation2}}
		// Chance would hardly find places that read alike: the same text, divided elsewhere.
		text := registry1 + a1 + b1
		for i := range min(len(text), 8) + 1 {
			others = append(others, place{text[:i], text[i:], "", id1, generation1}, place{text[:i], "", text[i:], id1, generation1},
				place{"", text[:i], text[i:], id1, generation1}, place{registry2, text[:i], text[i:], id1, generation1})
		}
		for _, other := range others {
			sameValue := one.registry == other.registry && one.a == other.a && one.b == other.b && one.id == other.id
			require.Equal(t, sameValue, bytes.Equal(one.value(), other.value()), "values %+v, %+v", one, other)
			require.Equal(t, one == other, bytes.Equal(one.keyset(), other.keyset()), "keysets %+v, %+v", one, other)
			require.NotEqual(t, one.value(), other.keyset())
		}
	})
}
