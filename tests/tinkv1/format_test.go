package tinkv1

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/tink/go/aead/subtle"
	"github.com/google/tink/go/keyset"
	tinkpb "github.com/google/tink/go/proto/tink_go_proto"
	"github.com/google/tink/go/tink"
)

// The registry's formats, written out once more for a program that has nothing but v1.

// row is what a registry stores of its keyset.
type row struct {
	Registry   string
	Generation int64
	Primary    uint32
	KEK        string
	Params     string
	Wrapped    []byte
}

// associatedData of a wrapped keyset is seven fields, each after its length as 4 bytes; all numbers are big-endian.
func (r row) associatedData() []byte {
	return fields(
		[]byte("stateregistry/keyset"),
		[]byte{0, 0, 0, 1},
		[]byte(r.Registry),
		binary.BigEndian.AppendUint64(nil, uint64(r.Generation)),
		binary.BigEndian.AppendUint32(nil, r.Primary),
		[]byte(r.KEK),
		[]byte(r.Params),
	)
}

// place is where a value is.
type place struct{ Registry, Table, Key string }

// associatedData of a value is six fields.
func (p place) associatedData(keyID uint32) []byte {
	return fields(
		[]byte("stateregistry/value"),
		[]byte{0, 0, 0, 1},
		[]byte(p.Registry),
		[]byte(p.Table),
		[]byte(p.Key),
		binary.BigEndian.AppendUint32(nil, keyID),
	)
}

func fields(list ...[]byte) []byte {
	var b []byte
	for _, field := range list {
		n := len(field)
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
		b = append(b, field...)
	}
	return b
}

// unwrap is the keyset of a row. The row has the ciphertext alone, without Tink's EncryptedKeyset around it.
func unwrap(r row, rawKey []byte) (*keyset.Handle, error) {
	kek, err := subtle.NewXChaCha20Poly1305(rawKey)
	if err != nil {
		return nil, err
	}
	message := &keyset.MemReaderWriter{EncryptedKeyset: &tinkpb.EncryptedKeyset{EncryptedKeyset: r.Wrapped}}
	return keyset.ReadWithAssociatedData(message, kek, r.associatedData())
}

// wrap is r with the keyset in it.
func wrap(r row, rawKey []byte, h *keyset.Handle) (row, error) {
	kek, err := subtle.NewXChaCha20Poly1305(rawKey)
	if err != nil {
		return row{}, err
	}
	r.Primary = h.KeysetInfo().GetPrimaryKeyId()
	var message keyset.MemReaderWriter
	if err := h.WriteWithAssociatedData(&message, kek, r.associatedData()); err != nil {
		return row{}, err
	}
	r.Wrapped = message.EncryptedKeyset.GetEncryptedKeyset()
	return r, nil
}

// seal is the text of a value that is encrypted under the primary key.
func seal(a tink.AEAD, primary uint32, p place, value []byte) (string, error) {
	ciphertext, err := a.Encrypt(value, p.associatedData(primary))
	if err != nil {
		return "", err
	}
	return text(primary, ciphertext), nil
}

func text(keyID uint32, ciphertext []byte) string {
	return fmt.Sprintf("enc:v1:%08x:%s", keyID, base64.RawURLEncoding.EncodeToString(ciphertext))
}

// parse is what a text holds; its ciphertext must begin as Tink's do: 0x01 and the key's id.
func parse(text string) (keyID uint32, ciphertext []byte, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 4 || parts[0] != "enc" || parts[1] != "v1" || len(parts[2]) != 8 {
		return 0, nil, errors.New("not the text of an encrypted value")
	}
	id, err := strconv.ParseUint(parts[2], 16, 32)
	if err != nil {
		return 0, nil, err
	}
	ciphertext, err = base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil {
		return 0, nil, err
	}
	prefix, err := hex.DecodeString("01" + parts[2])
	if err != nil || !bytes.HasPrefix(ciphertext, prefix) {
		return 0, nil, errors.New("not a ciphertext of the key in the text")
	}
	return uint32(id), ciphertext, nil
}
