package keyset_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xchacha20poly1305"
	"github.com/tink-crypto/tink-go/v2/daead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/key"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/mac"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/oxide-k/stateregistry/keyset"
)

// otherKeys is parameters of keys that Tink makes and this package does not.
func otherKeys(t *testing.T) map[string]key.Parameters {
	t.Helper()
	all := map[string]key.Parameters{}
	add := func(name string, p key.Parameters, err error) {
		require.NoError(t, err, name)
		all[name] = p
	}
	gcm := func(size int, variant aesgcm.Variant) (key.Parameters, error) {
		return aesgcm.NewParameters(aesgcm.ParametersOpts{
			KeySizeInBytes: size, IVSizeInBytes: 12, TagSizeInBytes: 16, Variant: variant,
		})
	}
	p, err := gcm(16, aesgcm.VariantTink)
	add("AES-128-GCM", p, err)
	p, err = gcm(32, aesgcm.VariantNoPrefix)
	add("AES-256-GCM, RAW", p, err)
	p, err = gcm(32, aesgcm.VariantCrunchy)
	add("AES-256-GCM, CRUNCHY", p, err)
	x, err := xchacha20poly1305.NewParameters(xchacha20poly1305.VariantNoPrefix)
	add("XChaCha20-Poly1305, RAW", x, err)
	x, err = xchacha20poly1305.NewParameters(xchacha20poly1305.VariantCrunchy)
	add("XChaCha20-Poly1305, CRUNCHY", x, err)
	xaes, err := xaesgcm.NewParameters(xaesgcm.VariantNoPrefix, 12)
	add("XAES-256-GCM, RAW", xaes, err)
	xaes, err = xaesgcm.NewParameters(xaesgcm.VariantTink, 8)
	add("XAES-256-GCM, a salt of 8 bytes", xaes, err)
	return all
}

// requireUnsupported wraps h with each kind of KEK, as another program could, and unwraps it.
func requireUnsupported(t *testing.T, h *tinkkeyset.Handle, name string) {
	t.Helper()
	vault := kms(t)
	_, err := prepared(t, keyset.AEAD(kmsName, vault)).Unwrap(wrapTink(t, h, vault, place), place)
	require.ErrorIs(t, err, keyset.ErrUnsupported, name)
	require.NotErrorIs(t, err, keyset.ErrWrongKEK, "%s: the KEK opens it", name)

	_, err = prepared(t, keyset.AEAD(kmsName, vault)).Unwrap(wrapTink(t, h, vault, nil), place)
	require.ErrorIs(t, err, keyset.ErrWrongKEK, "%s: nothing is looked at before it opens", name)
}

func TestAKeysetOfOtherKeysIsUnsupported(t *testing.T) {
	for name, parameters := range otherKeys(t) {
		m := tinkkeyset.NewManager()
		id, err := m.AddNewKeyFromParameters(parameters)
		require.NoError(t, err, name)
		require.NoError(t, m.SetPrimary(id))
		h, err := m.Handle()
		require.NoError(t, err, name)
		requireUnsupported(t, h, name)
	}
	for name, template := range map[string]*tinkpb.KeyTemplate{
		"AES-SIV": daead.AESSIVKeyTemplate(), "HMAC": mac.HMACSHA256Tag128KeyTemplate(),
		"AES-CTR-HMAC": aead.AES256CTRHMACSHA256KeyTemplate(), "ChaCha20-Poly1305": aead.ChaCha20Poly1305KeyTemplate(),
	} {
		h, err := tinkkeyset.NewHandle(template)
		require.NoError(t, err, name)
		requireUnsupported(t, h, name)
	}
}

// Tink reads a key of a type that nobody registered, and would only fail to use it.
func TestAKeyOfATypeThatIsLinkedNowhereIsUnsupported(t *testing.T) {
	h, err := insecurecleartextkeyset.Read(&memory{clear: &tinkpb.Keyset{
		PrimaryKeyId: 7,
		Key: []*tinkpb.Keyset_Key{{
			KeyId: 7, Status: tinkpb.KeyStatusType_ENABLED, OutputPrefixType: tinkpb.OutputPrefixType_TINK,
			KeyData: &tinkpb.KeyData{
				TypeUrl: "type.googleapis.com/example.Key", Value: rawKey(0), KeyMaterialType: tinkpb.KeyData_SYMMETRIC,
			},
		}},
	}})
	require.NoError(t, err)
	requireUnsupported(t, h, "unregistered")
}

// It is not enough that the primary key is a known one: the others decrypt.
func TestOneKeyOfAnotherKindIsOneTooMany(t *testing.T) {
	for name, parameters := range otherKeys(t) {
		m := tinkkeyset.NewManagerFromHandle(tinkKeyset(t, knownKey(t, 0x0a0b0c0d, rawKey(0xa0))))
		_, err := m.AddNewKeyFromParameters(parameters)
		require.NoError(t, err, name)
		h, err := m.Handle()
		require.NoError(t, err, name)
		requireUnsupported(t, h, name)
	}
}

// This package disables no key. Whoever has the KEK can, with Tink's own tools.
func TestADisabledKeyIsShownAndDecryptsNothing(t *testing.T) {
	m := tinkkeyset.NewManagerFromHandle(tinkKeyset(t, knownKey(t, 1, rawKey(0xa0)), knownKey(t, 2, rawKey(0xb0))))
	require.NoError(t, m.Disable(1))
	tink, err := m.Handle()
	require.NoError(t, err)
	h, err := prepared(t, keyset.AEAD("open", open{})).Unwrap(wrapTink(t, tink, open{}, nil), nil)
	require.NoError(t, err)
	require.Equal(t, []keyset.Key{{ID: 1, Status: "disabled"}, {ID: 2, Primary: true, Status: "enabled"}}, h.Keys())

	enabled, err := prepared(t, keyset.AEAD("open", open{})).Unwrap(
		wrapTink(t, tinkKeyset(t, knownKey(t, 1, rawKey(0xa0))), open{}, nil), nil)
	require.NoError(t, err)
	c, err := enabled.Encrypt([]byte("plaintext"), place)
	require.NoError(t, err)
	_, err = h.Decrypt(c, place)
	require.Error(t, err)
}
