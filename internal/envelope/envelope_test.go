package envelope

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// ciphertext is one of Tink's, as far as its first five bytes say, of n bytes.
func ciphertext(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(0xf0 + i)
	}
	copy(b, []byte{0x01, 0x0a, 0xbc, 0xde, 0xf0})
	return b
}

const ciphertextID = 0x0abcdef0

// sealed is an envelope that has both of the characters that URL-safe base64 does not share with the standard one.
const sealed = "enc:v1:0abcdef0:AQq83vD1-_--_w"

func TestAnEnvelopeIsThisText(t *testing.T) {
	c := []byte{0x01, 0x0a, 0xbc, 0xde, 0xf0, 0xf5, 0xfb, 0xff, 0xbe, 0xff}
	text, err := Seal(c)
	require.NoError(t, err)
	require.Equal(t, sealed, text)
	require.Equal(t, "enc:v1:0abcdef0:", Marker(ciphertextID))
	require.Equal(t, "enc:v1:00000000:", Marker(0))
	require.Equal(t, "enc:v1:ffffffff:", Marker(0xffffffff))
	require.Len(t, Marker(0), 16, "the schema compares as many characters")

	id, opened, err := Open(text, nil)
	require.NoError(t, err)
	require.Equal(t, uint32(ciphertextID), id)
	require.Equal(t, c, opened)
}

func TestWhatIsSealedOpens(t *testing.T) {
	for n := 5; n < 100; n++ {
		text, err := Seal(ciphertext(n))
		require.NoError(t, err)
		require.True(t, IsEncrypted(text))
		require.True(t, strings.HasPrefix(text, Marker(ciphertextID)))
		require.NotContains(t, text, "=")

		id, opened, err := Open(text, nil)
		require.NoError(t, err, text)
		require.Equal(t, uint32(ciphertextID), id)
		require.Equal(t, ciphertext(n), opened)
	}
}

func TestOnlyCiphertextsOfTinkAreSealed(t *testing.T) {
	for n := range 5 {
		_, err := Seal(ciphertext(n))
		require.ErrorIs(t, err, ErrMalformed, "%d bytes", n)
	}
	for first := range 256 {
		c := ciphertext(40)
		c[0] = byte(first)
		_, err := Seal(c)
		if first == 0x01 {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrMalformed, "first byte %#x", first)
		}
	}
}

func TestSealingKeepsTheCiphertextAsItIs(t *testing.T) {
	c := ciphertext(40)
	_, err := Seal(c)
	require.NoError(t, err)
	require.Equal(t, ciphertext(40), c)
}

func TestNoTextButTheCanonicalOneOpens(t *testing.T) {
	body := func(text string) string { return Marker(ciphertextID) + text }
	for name, text := range map[string]string{
		"nothing":               "",
		"JSON":                  `{"a":1}`,
		"JSON text":             `"enc:v1:0abcdef0:AQq83vD1-_--_w"`,
		"prefix":                "enc:",
		"no version":            "enc:v:0abcdef0:AQq83vD1-_--_w",
		"version 0":             "enc:v0:0abcdef0:AQq83vD1-_--_w",
		"version 01":            "enc:v01:0abcdef0:AQq83vD1-_--_w",
		"version +1":            "enc:v+1:0abcdef0:AQq83vD1-_--_w",
		"version 1a":            "enc:v1a:0abcdef0:AQq83vD1-_--_w",
		"version in no V":       "enc:1:0abcdef0:AQq83vD1-_--_w",
		"version in a capital":  "enc:V1:0abcdef0:AQq83vD1-_--_w",
		"version without colon": "enc:v2",
		"version of no digits":  "enc:v١:0abcdef0:AQq83vD1-_--_w",
		"prefix in capitals":    "ENC:v1:0abcdef0:AQq83vD1-_--_w",
		"space in front":        " " + sealed,
		"line feed in front":    "\n" + sealed,

		"upper case id":     "enc:v1:0ABCDEF0:AQq83vD1-_--_w",
		"mixed case id":     "enc:v1:0abcdeF0:AQq83vD1-_--_w",
		"short id":          "enc:v1:abcdef0:AQq83vD1-_--_w",
		"long id":           "enc:v1:00abcdef0:AQq83vD1-_--_w",
		"no id":             "enc:v1::AQq83vD1-_--_w",
		"id not in hex":     "enc:v1:0abcdeg0:AQq83vD1-_--_w",
		"space in the id":   "enc:v1: abcdef0:AQq83vD1-_--_w",
		"no colon after it": "enc:v1:0abcdef0AQq83vD1-_--_w",
		"two colons":        "enc:v1:0abcdef0::AQq83vD1-_--_w",
		"another id":        "enc:v1:0abcdef1:AQq83vD1-_--_w",

		"one padding character": sealed + "=",
		"all padding":           sealed + "==",
		"padding in the middle": body("AQq83vD1-_==--_w"),
		"standard base64":       body("AQq83vD1+/++/w"),
		"plus":                  body("AQq83vD1+_--_w"),
		"slash":                 body("AQq83vD1-/--_w"),
		"line feed behind":      sealed + "\n",
		"return behind":         sealed + "\r",
		"return, line feed":     sealed + "\r\n",
		"line feed first":       body("\nAQq83vD1-_--_w"),
		"line feed within":      body("AQq8\n3vD1-_--_w"),
		"return within":         body("AQq8\r3vD1-_--_w"),
		"four returns within":   body("AQq8\r\r\r\r3vD1-_--_w"),
		"space behind":          sealed + " ",
		"space within":          body("AQq8 3vD1-_--_w"),
		"tab within":            body("AQq8\t3vD1-_--_w"),
		"NUL behind":            sealed + "\x00",
		"colon behind":          sealed + ":",
		"an odd length":         sealed + "AAA",

		"bits that say nothing": body("AQq83vD1-_--_x"),
		"more of them":          body("AQq83vD1-_--_z"),
		"first byte":            body("AAq83vD1-_--_w"),
		"first byte of RAW":     body("8Aq83vD1-_--_w"),
		"no ciphertext":         body(""),
		"only its first byte":   body("AQ"),
		"four bytes of it":      body("AQq83g"),
	} {
		_, _, err := Open(text, nil)
		require.ErrorIs(t, err, ErrMalformed, name)
	}
}

func TestAnEnvelopeCutShortOrLongerDoesNotReadTheSame(t *testing.T) {
	whole := ciphertext(41)
	text, err := Seal(whole)
	require.NoError(t, err)
	for n := range len(text) {
		_, c, err := Open(text[:n], nil)
		if err == nil { // what is cut at a byte's end is an envelope still: Tink refuses the ciphertext
			require.Less(t, len(c), len(whole))
			require.True(t, bytes.HasPrefix(whole, c))
			continue
		}
		require.ErrorIs(t, err, ErrMalformed, text[:n])
	}
	for i := range 256 {
		_, c, err := Open(text+string([]byte{byte(i)}), nil)
		if err == nil {
			require.Greater(t, len(c), len(whole))
			continue
		}
		require.ErrorIs(t, err, ErrMalformed, "%q behind", byte(i))
	}
}

func TestEveryAlteredCharacterIsSeen(t *testing.T) {
	text, err := Seal(ciphertext(40))
	require.NoError(t, err)
	for i := range len(text) {
		for c := range 256 {
			if text[i] == byte(c) {
				continue
			}
			_, opened, err := Open(text[:i]+string([]byte{byte(c)})+text[i+1:], nil)
			if err == nil {
				require.NotEqual(t, ciphertext(40), opened, "%q at %d", byte(c), i)
			}
		}
	}
}

func TestAnotherVersionIsSaidToBeOne(t *testing.T) {
	for _, text := range []string{
		"enc:v2:", "enc:v2:0abcdef0:AQq83vD1-_--_w", "enc:v10:whatever it is", "enc:v11:", "enc:v99999999999999999999999:", "enc:v2:\n",
	} {
		_, _, err := Open(text, nil)
		require.ErrorIs(t, err, ErrVersion, text)
		_, err = KeyID(text)
		require.ErrorIs(t, err, ErrVersion, text)
		require.True(t, IsEncrypted(text))
	}
	for _, text := range []string{"enc:v0:", "enc:v:", "enc:V1:", "enc:", "enc:v1:", "enc:v1", "enc:v", "enc:v02:", "enc:v2", "v2:", ""} {
		_, _, err := Open(text, nil)
		require.ErrorIs(t, err, ErrMalformed, text)
		_, err = KeyID(text)
		require.ErrorIs(t, err, ErrMalformed, text)
	}
}

func TestTheKeyIDIsReadFromTheMarkerAlone(t *testing.T) {
	for _, id := range []uint32{0, 1, ciphertextID, 0x7fffffff, 0x80000000, 0xffffffff} {
		for _, rest := range []string{"", "AQq83vD1-_--_w", "not base64 at all", "="} {
			got, err := KeyID(Marker(id) + rest)
			require.NoError(t, err)
			require.Equal(t, id, got)
		}
	}
	for n := range markerSize {
		_, err := KeyID(Marker(ciphertextID)[:n])
		require.ErrorIs(t, err, ErrMalformed, "%d characters", n)
	}
}

// What oxide-k writes, and any JSON, is not taken for an envelope.
func TestJSONAndOtherCiphertextsAreNotEncrypted(t *testing.T) {
	for _, text := range []string{
		"", "null", "true", "0", `"enc:v1:"`, "[]", "{}", "enc", "Enc:v1:", " enc:v1:", base64.URLEncoding.EncodeToString(ciphertext(40)),
	} {
		require.False(t, IsEncrypted(text), text)
	}
}
