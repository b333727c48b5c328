package formatreader

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

const head = "enc:v1:"

var (
	newerEnvelope = regexp.MustCompile(`^enc:v[1-9][0-9]*:`) // or version 1, which was looked for before
	keyIDDigits   = regexp.MustCompile(`^[0-9a-f]{8}:`)
)

// parseMarker reads the key id that text starts with.
func parseMarker(text string) (id uint32, rest string, err error) {
	rest, ok := strings.CutPrefix(text, head)
	if !ok {
		if newerEnvelope.MatchString(text) {
			return 0, "", ErrNewer
		}
		return 0, "", fmt.Errorf("%w: not encrypted", ErrValue)
	}
	if !keyIDDigits.MatchString(rest) {
		return 0, "", fmt.Errorf("%w: no key id", ErrValue)
	}
	digits, rest := rest[:8], rest[9:]
	b, err := hex.DecodeString(digits)
	if err != nil {
		return 0, "", err
	}
	return binary.BigEndian.Uint32(b), rest, nil
}

// open is the JSON in an envelope.
func (k *Keyset) open(registryID, configKey, text string) (id uint32, json string, err error) {
	id, rest, err := parseMarker(text)
	if err != nil {
		return 0, "", err
	}
	ciphertext, err := base64.RawURLEncoding.DecodeString(rest)
	if err != nil || base64.RawURLEncoding.EncodeToString(ciphertext) != rest {
		return 0, "", fmt.Errorf("%w: not the base64", ErrValue)
	}
	prefix := append([]byte{0x01}, number4(id)...)
	if !bytes.HasPrefix(ciphertext, prefix) {
		return 0, "", fmt.Errorf("%w: another key's ciphertext", ErrValue)
	}
	key := k.find(id)
	if key == nil {
		return 0, "", fmt.Errorf("%w: no such key", ErrValue)
	}
	plaintext, err := key.open(ciphertext[len(prefix):], valueAssociatedData(registryID, configKey, id))
	if err != nil {
		return 0, "", fmt.Errorf("%w: %w", ErrValue, err)
	}
	return id, string(plaintext), nil
}

// valueAssociatedData binds a value to its row.
func valueAssociatedData(registryID, configKey string, id uint32) []byte {
	return fields([]byte("stateregistry/value"), number4(1), []byte(registryID), []byte("config"), []byte(configKey), number4(id))
}

// fields is each field after its length.
func fields(list ...[]byte) []byte {
	var b []byte
	for _, f := range list {
		b = append(b, number4(uint32(len(f)))...)
		b = append(b, f...)
	}
	return b
}

func number4(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func number8(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
