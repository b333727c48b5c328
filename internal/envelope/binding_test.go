package envelope

import (
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// spelled is bytes in hex, with spaces between the fields.
func spelled(t *testing.T, parts ...string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), " ", ""))
	require.NoError(t, err)
	return b
}

func TestTheAssociatedDataOfAValueIsTheseBytes(t *testing.T) {
	require.Equal(t, spelled(t,
		"00000013 737461746572656769737472792f76616c7565", // stateregistry/value
		"00000004 00000001",           // the version of this list
		"00000003 726567",             // reg
		"00000006 636f6e666967",       // config
		"00000009 6d61785fc3a92f7862", // max_é/xb
		"00000004 0a0b0c0d",           // the key's id
	), AppendValue(nil, "reg", "config", "max_é/xb", 0x0a0b0c0d))

	require.Equal(t, spelled(t,
		"00000013 737461746572656769737472792f76616c7565 00000004 00000001 00000000 00000000 00000000 00000004 00000000",
	), AppendValue(nil, "", "", "", 0), "nothing is left out")
}

func TestTheAssociatedDataOfAKeysetIsTheseBytes(t *testing.T) {
	require.Equal(t, spelled(t,
		"00000014 737461746572656769737472792f6b6579736574", // stateregistry/keyset
		"00000004 00000001",         // the version of this list
		"00000003 726567",           // reg
		"00000008 0000000000000102", // the generation
		"00000004 fffefdfc",         // the primary key's id
		"00000006 7261776b6579",     // rawkey
		"00000002 703d",             // p=
	), Keyset("reg", 0x0102, 0xfffefdfc, "rawkey", "p="))

	require.Equal(t, spelled(t,
		"00000014 737461746572656769737472792f6b6579736574 00000004 00000001 00000000",
		"00000008 7fffffffffffffff 00000004 00000000 00000000 00000000",
	), Keyset("", math.MaxInt64, 0, "", ""))
}

// Fields that run together would let a ciphertext move to a place that reads the same.
func TestNoTwoPlacesHaveTheSameAssociatedData(t *testing.T) {
	all := [][]byte{
		AppendValue(nil, "ab", "c", "d", 1), AppendValue(nil, "a", "bc", "d", 1), AppendValue(nil, "a", "b", "cd", 1), AppendValue(nil, "abc", "", "d", 1), AppendValue(nil, "abcd", "", "", 1),
		AppendValue(nil, "", "abcd", "", 1), AppendValue(nil, "", "", "abcd", 1), AppendValue(nil, "ab", "c", "d", 2), AppendValue(nil, "ab", "d", "c", 1), AppendValue(nil, "ab", "c", "d\x00", 1),
		AppendValue(nil, "ab", "c", "\x00\x00\x00\x01d", 1), AppendValue(nil, "ab", "c\x00\x00\x00\x01d", "", 1),
		Keyset("ab", 1, 1, "c", "d"), Keyset("a", 1, 1, "bc", "d"), Keyset("ab", 2, 1, "c", "d"), Keyset("ab", 1, 2, "c", "d"),
		Keyset("ab", -1, 1, "c", "d"), Keyset("ab", 1, 1, "cd", ""), Keyset("ab", 1, 1, "", "cd"), Keyset("ab", 1, 1, "d", "c"),
		Keyset("ab", 1<<32, 1, "c", "d"),
	}
	for i, one := range all {
		for j, other := range all {
			require.Equal(t, i == j, slices.Equal(one, other), "%d and %d", i, j)
		}
	}
}
