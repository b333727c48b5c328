package envelope

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
)

// prefix is what no JSON starts with.
const prefix = "enc:"

// head is the prefix with the version; a key id in hex, a colon and the ciphertext in base64url follow.
const head = prefix + "v1:"

// markerSize is the size of what all values under one key start with, in bytes.
const markerSize = len(head) + 8 + 1

// tinkPrefix begins a ciphertext of Tink's; the key's id follows, 4 bytes, big-endian
// (developers.google.com/tink/wire-format).
const tinkPrefix = 0x01

// tinkPrefixSize is its size with the id, in bytes.
const tinkPrefixSize = 5

// encoding is URL-safe base64 without padding; Strict refuses bits that would be dropped.
var encoding = base64.RawURLEncoding.Strict()

// IsEncrypted reports whether text is meant as an envelope, of whatever version.
func IsEncrypted(text string) bool { return strings.HasPrefix(text, prefix) }

// Marker is what the envelopes under a key start with: enc:v1:<id, 8 lowercase hex>:
func Marker(keyID uint32) string {
	var id [4]byte
	binary.BigEndian.PutUint32(id[:], keyID)
	return head + hex.EncodeToString(id[:]) + ":"
}

// KeyID is the id in an envelope's marker, or in a marker alone. What follows is not looked at. ErrMalformed, ErrVersion.
func KeyID(text string) (uint32, error) {
	if !strings.HasPrefix(text, head) {
		if isVersion(text) {
			return 0, ErrVersion
		}
		return 0, ErrMalformed
	}
	if len(text) < markerSize || text[markerSize-1] != ':' {
		return 0, ErrMalformed
	}
	digits := text[len(head) : markerSize-1]
	var id [4]byte
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil || strings.ToLower(digits) != digits {
		return 0, ErrMalformed
	}
	return binary.BigEndian.Uint32(id[:]), nil
}

// Seal is the envelope of a ciphertext of Tink's. ErrMalformed where it has not Tink's prefix.
func Seal(ciphertext []byte) (string, error) {
	if len(ciphertext) < tinkPrefixSize || ciphertext[0] != tinkPrefix {
		return "", ErrMalformed
	}
	text := make([]byte, markerSize, markerSize+encoding.EncodedLen(len(ciphertext)))
	copy(text, head)
	hex.Encode(text[len(head):], ciphertext[1:tinkPrefixSize])
	text[markerSize-1] = ':'
	return string(encoding.AppendEncode(text, ciphertext)), nil
}

// Open is the ciphertext in an envelope, and the id of its key. An envelope has one form only: ErrMalformed for any other
// text, and where the id is not the ciphertext's own. ErrVersion for another version. It works in buffer, where that has the
// room, and the ciphertext lies in it.
func Open(text string, buffer []byte) (keyID uint32, ciphertext []byte, err error) {
	keyID, err = KeyID(text)
	if err != nil {
		return 0, nil, err
	}
	body := append(buffer[:0], text[markerSize:]...)
	decoded, err := encoding.AppendDecode(body, body)
	ciphertext = decoded[len(body):]
	// The decoder skips CR and LF: then there is more text than the ciphertext needs.
	if err != nil || encoding.EncodedLen(len(ciphertext)) != len(body) {
		return 0, nil, ErrMalformed
	}
	if len(ciphertext) < tinkPrefixSize || ciphertext[0] != tinkPrefix ||
		binary.BigEndian.Uint32(ciphertext[1:tinkPrefixSize]) != keyID {
		return 0, nil, ErrMalformed
	}
	return keyID, ciphertext, nil
}

// isVersion reports whether text starts as an envelope of some version: enc:v, digits, a colon.
func isVersion(text string) bool {
	rest, ok := strings.CutPrefix(text, prefix+"v")
	if !ok {
		return false
	}
	version, _, ok := strings.Cut(rest, ":")
	return ok && version != "" && strings.Trim(version, "0123456789") == "" && version[0] != '0'
}
