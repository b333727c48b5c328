package keyset_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/keyset"
)

// FuzzUnwrap: what is stored opens if it is what was wrapped, in its place, and only then.
func FuzzUnwrap(f *testing.F) {
	golden := unhex(f, goldenUnderRawKey)
	f.Add(golden, place)
	f.Add(golden, []byte{})
	f.Add(golden[:len(golden)-1], place)
	f.Add(golden[:24+16], place)
	f.Add(golden[1:], place)
	f.Add(append(bytes.Clone(golden), 0x78, 0x01), place)
	f.Add(append([]byte{0x12, byte(len(golden))}, golden...), place)
	f.Add(goldenKeyset(f), place)
	f.Add([]byte{}, []byte{})
	w := prepared(f, keyset.RawKey(rawKey(0)))
	f.Fuzz(func(t *testing.T, wrapped, associatedData []byte) {
		h, err := w.Unwrap(wrapped, associatedData)
		if bytes.Equal(wrapped, golden) && bytes.Equal(associatedData, place) {
			require.NoError(t, err)
			require.Equal(t, uint32(0x0a0b0c0d), h.Primary())
			return
		}
		require.ErrorIs(t, err, keyset.ErrWrongKEK)
		require.Nil(t, h)
	})
}

// goldenKeyset is knownHandle as Tink serializes it.
func goldenKeyset(t testing.TB) []byte {
	t.Helper()
	return wrap(t, prepared(t, keyset.AEAD("open", open{})), knownHandle(t), nil)
}

// FuzzUnwrapOfWhatAKEKOpens: a KEK may open what another program wrapped. It is a keyset that works, or an error.
func FuzzUnwrapOfWhatAKEKOpens(f *testing.F) {
	w := prepared(f, keyset.AEAD("open", open{}))
	golden := goldenKeyset(f)
	f.Add(golden)
	for template := range allTemplates {
		h, err := knownHandle(f).WithPrimary(template)
		require.NoError(f, err)
		f.Add(wrap(f, w, h, nil))
	}
	f.Add(wrapTink(f, tinkKeyset(f, knownKey(f, 1, rawKey(1)), knownKey(f, 2, rawKey(2))), open{}, nil))
	f.Add(append(bytes.Clone(golden), 0x78, 0x01))
	f.Add(bytes.Replace(golden, []byte{0x18, 0x01, 0x10, 0x01}, []byte{0x18, 0x01, 0x10, 0x02}, 1)) // disabled
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, plain []byte) {
		h, err := w.Unwrap(plain, nil)
		if err != nil {
			require.True(t, errors.Is(err, keyset.ErrWrongKEK) || errors.Is(err, keyset.ErrUnsupported), "%v", err)
			require.Nil(t, h)
			return
		}
		require.True(t, h.Has(h.Primary()))
		for _, k := range h.Keys() {
			require.True(t, k.Template.Valid())
		}
		c, err := h.Encrypt([]byte("plaintext"), place)
		require.NoError(t, err)
		again, err := w.Unwrap(wrap(t, w, h, nil), nil)
		require.NoError(t, err)
		require.Equal(t, h.Keys(), again.Keys())
		plaintext, err := again.Decrypt(c, place)
		require.NoError(t, err)
		require.Equal(t, "plaintext", string(plaintext))
	})
}

// FuzzPrepareStored: what a file says about its KEK is accepted if it is the caller's, and within the bounds. A passphrase is
// derived from nothing that kdf.Parse refuses; what it accepts is not derived here, since that takes time.
func FuzzPrepareStored(f *testing.F) {
	const params = "$argon2id$v=19$m=65536,t=3,p=1$AAECAwQFBgcICQoLDA0ODw$sQTuCxCKT+ZjEEAE0mcyU3guhjJ/WeenPqq9L9rwaSU"
	f.Add("passphrase", params)
	f.Add("passphrase", "$argon2id$v=19$m=104857600,t=1,p=1$AAECAwQFBgcICQoLDA0ODw")
	f.Add("passphrase", "$argon2id$v=19$m=0,t=0,p=0$")
	f.Add("passphrase", params+"==")
	f.Add("rawkey", "")
	f.Add("rawkey", params)
	f.Add("aead", kmsName)
	f.Add("aead", "")
	f.Add("", "")
	raw, vault, passphrase := keyset.RawKey(rawKey(0)), keyset.AEAD(kmsName, open{}), keyset.Passphrase(secretPassphrase)
	f.Fuzz(func(t *testing.T, kind, params string) {
		_, err := raw.PrepareStored(keyset.Kind(kind), params)
		requireAccepted(t, kind == "rawkey" && params == "", err)
		_, err = vault.PrepareStored(keyset.Kind(kind), params)
		requireAccepted(t, kind == "aead" && params == kmsName, err)
		if _, bad := kdf.Parse(params, kdf.DefaultCost()); bad != nil || kind != "passphrase" {
			_, err = passphrase.PrepareStored(keyset.Kind(kind), params)
			requireAccepted(t, false, err)
		}
	})
}

func requireAccepted(t *testing.T, want bool, err error) {
	t.Helper()
	if want {
		require.NoError(t, err)
		return
	}
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
	require.Less(t, len(err.Error()), 2000)
}
