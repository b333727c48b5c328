package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// tinkText encrypts values as one would by hand: the key is the associated data, the text is base64.
type tinkText struct{ aead tink.AEAD }

// openTinkText takes the keyset in a file, which it makes if there is none. It is not wrapped: that is not measured.
func openTinkText(path string) (textForm, error) {
	handle, err := readKeyset(path)
	if errors.Is(err, fs.ErrNotExist) {
		handle, err = makeKeyset(path)
	}
	if err != nil {
		return nil, err
	}
	a, err := aead.New(handle)
	return tinkText{a}, err
}

func readKeyset(path string) (*keyset.Handle, error) {
	stored, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return insecurecleartextkeyset.Read(keyset.NewBinaryReader(bytes.NewReader(stored)))
}

func makeKeyset(path string) (*keyset.Handle, error) {
	handle, err := keyset.NewHandle(aead.XChaCha20Poly1305KeyTemplate())
	if err != nil {
		return nil, err
	}
	var stored bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewBinaryWriter(&stored)); err != nil {
		return nil, err
	}
	return handle, os.WriteFile(path, stored.Bytes(), 0o600)
}

func (t tinkText) seal(key string, json []byte) (string, error) {
	sealed, err := t.aead.Encrypt(json, []byte(key))
	return base64.StdEncoding.EncodeToString(sealed), err
}

func (t tinkText) open(key string, text []byte) ([]byte, error) {
	sealed := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(sealed, text)
	if err != nil {
		return nil, err
	}
	return t.aead.Decrypt(sealed[:n], []byte(key))
}
