package keyset_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tink-crypto/tink-go/v2/aead/aesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xaesgcm"
	"github.com/tink-crypto/tink-go/v2/aead/xchacha20poly1305"
	tinkkeyset "github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"

	"github.com/oxide-k/stateregistry/keyset"
)

// allTemplates is each with its name and the overhead that a ciphertext has: Tink's prefix, the nonce, the tag.
var allTemplates = map[keyset.Template]struct {
	name     string
	overhead int
}{
	keyset.XChaCha20Poly1305: {"XChaCha20-Poly1305", 5 + 24 + 16},
	keyset.XAES256GCM:        {"XAES-256-GCM", 5 + 12 + 12 + 16},
	keyset.AES256GCM:         {"AES-256-GCM", 5 + 12 + 16},
}

func TestEachTemplateHasItsName(t *testing.T) {
	for template, want := range allTemplates {
		require.Equal(t, want.name, template.String())
		require.True(t, template.Valid())
	}
	require.Equal(t, "Template(3)", keyset.Template(3).String())
	require.Equal(t, "Template(-1)", keyset.Template(-1).String())
}

func TestTheDefaultTemplateIsXChaCha20Poly1305(t *testing.T) {
	var none keyset.Template
	require.Equal(t, keyset.XChaCha20Poly1305, none)
}

// The parameters are looked up in what Tink reads, not in what this package says about it.
func TestEachTemplateMakesKeysOfItsOwnParameters(t *testing.T) {
	for template, want := range allTemplates {
		h, err := keyset.New(template)
		require.NoError(t, err)
		require.Equal(t, template, h.Keys()[0].Template)

		wrapped := wrap(t, prepared(t, keyset.AEAD("open", open{})), h, nil)
		stored := &memory{encrypted: &tinkpb.EncryptedKeyset{EncryptedKeyset: wrapped}}
		tink, err := tinkkeyset.ReadWithAssociatedData(stored, open{}, nil)
		require.NoError(t, err)
		entry, err := tink.Primary()
		require.NoError(t, err)
		require.Equal(t, h.Primary(), entry.KeyID())
		require.Equal(t, tinkkeyset.Enabled, entry.KeyStatus())
		id, required := entry.Key().IDRequirement()
		require.True(t, required, "the ciphertext names its key")
		require.Equal(t, h.Primary(), id)

		switch p := entry.Key().Parameters().(type) {
		case *xchacha20poly1305.Parameters:
			require.Equal(t, keyset.XChaCha20Poly1305, template)
			require.Equal(t, xchacha20poly1305.VariantTink, p.Variant())
		case *xaesgcm.Parameters:
			require.Equal(t, keyset.XAES256GCM, template)
			require.Equal(t, xaesgcm.VariantTink, p.Variant())
			require.Equal(t, 12, p.SaltSizeInBytes())
		case *aesgcm.Parameters:
			require.Equal(t, keyset.AES256GCM, template)
			require.Equal(t, aesgcm.VariantTink, p.Variant())
			require.Equal(t, 32, p.KeySizeInBytes())
			require.Equal(t, 12, p.IVSizeInBytes())
			require.Equal(t, 16, p.TagSizeInBytes())
		default:
			require.Failf(t, "other parameters", "%T", p)
		}

		c, err := h.Encrypt(make([]byte, 100), place)
		require.NoError(t, err)
		require.Len(t, c, 100+want.overhead)
	}
}

func TestAnUnknownTemplateMakesNoKey(t *testing.T) {
	h := newHandle(t)
	for _, template := range []keyset.Template{-1, 3, 1 << 20} {
		require.False(t, template.Valid())
		_, err := keyset.New(template)
		require.ErrorIs(t, err, keyset.ErrTemplate)
		_, err = h.WithPrimary(template)
		require.ErrorIs(t, err, keyset.ErrTemplate)
	}
	require.Len(t, h.Keys(), 1)
}
