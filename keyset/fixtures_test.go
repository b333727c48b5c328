package keyset_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead/xchacha20poly1305"
	"github.com/tink-crypto/tink-go/v2/insecuresecretdataaccess"
	"github.com/tink-crypto/tink-go/v2/key"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/secretdata"
	"github.com/tink-crypto/tink-go/v2/testing/fakekms"

	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/keyset"
)

const (
	secretPassphrase = "correct horse battery staple"
	kmsName          = "kms://vault/registry"
)

// place is the associated data where a test does not care which.
var place = []byte("its place")

// cheap is a passphrase's KEK at the least cost: most tests are not about the time that it takes.
func cheap(passphrase string) keyset.KEK {
	return keyset.PassphraseAtCost(passphrase, kdf.Cost{Time: 1, MemoryKiB: 8 << 10, Threads: 1})
}

// rawKey is 32 bytes, counted up from first.
func rawKey(first byte) []byte {
	k := make([]byte, keyset.RawKeySize)
	for i := range k {
		k[i] = first + byte(i)
	}
	return k
}

// kms is an AEAD that keeps its key to itself, another one at each call.
func kms(t testing.TB) keyset.Cipher {
	t.Helper()
	uri, err := fakekms.NewKeyURI()
	require.NoError(t, err)
	a, err := fakekms.NewAEAD(uri)
	require.NoError(t, err)
	return a
}

// keks is a KEK of each kind.
func keks(t testing.TB) map[keyset.Kind]keyset.KEK {
	t.Helper()
	return map[keyset.Kind]keyset.KEK{
		keyset.KindPassphrase: cheap(secretPassphrase),
		keyset.KindRawKey:     keyset.RawKey(rawKey(1)),
		keyset.KindAEAD:       keyset.AEAD(kmsName, kms(t)),
	}
}

func prepared(t testing.TB, k keyset.KEK) *keyset.Wrapper {
	t.Helper()
	w, err := k.Prepare()
	require.NoError(t, err)
	return w
}

func newHandle(t testing.TB) *keyset.Handle {
	t.Helper()
	h, err := keyset.New(keyset.XChaCha20Poly1305)
	require.NoError(t, err)
	return h
}

func wrap(t testing.TB, w *keyset.Wrapper, h *keyset.Handle, associatedData []byte) []byte {
	t.Helper()
	wrapped, err := w.Wrap(h, associatedData)
	require.NoError(t, err)
	return wrapped
}

// requireSame asks whether both handles have the same keys: each reads what the other wrote.
func requireSame(t testing.TB, want, got *keyset.Handle) {
	t.Helper()
	require.Equal(t, want.Keys(), got.Keys())
	for _, pair := range [][2]*keyset.Handle{{want, got}, {got, want}} {
		c, err := pair[0].Encrypt([]byte("plaintext"), place)
		require.NoError(t, err)
		plaintext, err := pair[1].Decrypt(c, place)
		require.NoError(t, err)
		require.Equal(t, "plaintext", string(plaintext))
	}
}

// open is an AEAD that hides nothing: what it wraps can be looked at, and written by hand.
type open struct{}

func (open) Encrypt(plaintext, _ []byte) ([]byte, error)  { return bytes.Clone(plaintext), nil }
func (open) Decrypt(ciphertext, _ []byte) ([]byte, error) { return bytes.Clone(ciphertext), nil }

// memory is a reader and a writer of Tink's.
type memory struct {
	clear     *tinkpb.Keyset
	encrypted *tinkpb.EncryptedKeyset
}

func (m *memory) Read() (*tinkpb.Keyset, error)                   { return m.clear, nil }
func (m *memory) ReadEncrypted() (*tinkpb.EncryptedKeyset, error) { return m.encrypted, nil }
func (m *memory) Write(clear *tinkpb.Keyset) error                { m.clear = clear; return nil }
func (m *memory) WriteEncrypted(encrypted *tinkpb.EncryptedKeyset) error {
	m.encrypted = encrypted
	return nil
}

// wrapTink wraps a keyset of Tink's with the AEAD of a KEK, as another program that has the KEK could.
func wrapTink(t testing.TB, h *tinkkeyset.Handle, a keyset.Cipher, associatedData []byte) []byte {
	t.Helper()
	var m memory
	require.NoError(t, h.WriteWithAssociatedData(&m, a, associatedData))
	return m.encrypted.GetEncryptedKeyset()
}

// tinkKeyset is a keyset of Tink's with those keys, the last one primary.
func tinkKeyset(t testing.TB, keys ...key.Key) *tinkkeyset.Handle {
	t.Helper()
	m := tinkkeyset.NewManager()
	for _, k := range keys {
		id, err := m.AddKey(k)
		require.NoError(t, err)
		require.NoError(t, m.SetPrimary(id))
	}
	h, err := m.Handle()
	require.NoError(t, err)
	return h
}

// knownKey is a key of the default template whose bytes are known.
func knownKey(t testing.TB, id uint32, material []byte) key.Key {
	t.Helper()
	parameters, err := xchacha20poly1305.NewParameters(xchacha20poly1305.VariantTink)
	require.NoError(t, err)
	k, err := xchacha20poly1305.NewKey(secretdata.NewBytesFromData(material, insecuresecretdataaccess.Token{}), id, parameters)
	require.NoError(t, err)
	return k
}

// knownHandle is a keyset with one key, 0x0a0b0c0d, of rawKey(0xa0).
func knownHandle(t testing.TB) *keyset.Handle {
	t.Helper()
	h, err := prepared(t, keyset.AEAD("open", open{})).Unwrap(
		wrapTink(t, tinkKeyset(t, knownKey(t, 0x0a0b0c0d, rawKey(0xa0))), open{}, nil), nil)
	require.NoError(t, err)
	return h
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}
