package tests

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// A suite that runs in a mode says something about it only where a mode is what its name says.
func TestModes(t *testing.T) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			path := m.path(t)
			reg, err := m.open(t.Context(), path)
			require.NoError(t, err)
			requireMode(t, m, reg)
			closeVerified(t, reg)
			if m.memory {
				return
			}
			reg, err = m.open(t.Context(), path, registry.WithMustExist())
			require.NoError(t, err)
			requireMode(t, m, reg)
			closeVerified(t, reg)
			with, err := m.open(t.Context(), m.path(t), registry.WithMigrations("notes", notesV1))
			require.NoError(t, err)
			requireMode(t, m, with)
			closeVerified(t, with)
		})
	}
}

func requireMode(t *testing.T, m mode, reg *registry.Registry) {
	t.Helper()
	revision, err := reg.Revision(t.Context())
	require.NoError(t, err)
	require.Zero(t, revision)
	text := sealed(t, reg, "key", `"value"`)
	require.Equal(t, m.encrypted(), strings.HasPrefix(text, "enc:v1:"))
	require.Equal(t, !m.encrypted(), text == `"value"`)

	info, err := reg.KeysetInfo(t.Context())
	if !m.encrypted() {
		require.ErrorIs(t, err, registry.ErrNotEncrypted)
		return
	}
	require.NoError(t, err)
	want := map[string]struct {
		generation int64
		kek        keyset.Kind
		params     string // what they begin with
		template   keyset.Template
	}{
		"encrypted":            {1, keyset.KindRawKey, "", keyset.XChaCha20Poly1305},
		"encrypted-memory":     {1, keyset.KindRawKey, "", keyset.XChaCha20Poly1305},
		"rotated":              {3, keyset.KindPassphrase, "$argon2id$v=19$m=8192,t=1,p=1$", keyset.AES256GCM},
		"encrypted-from-plain": {1, keyset.KindAEAD, modeKMS, keyset.XChaCha20Poly1305},
		// An opening that had made the keyset itself would have stored the usual cost.
		"encrypted-from-oxide": {1, keyset.KindPassphrase, "$argon2id$v=19$m=8192,t=1,p=1$", keyset.XChaCha20Poly1305},
	}[m.name]
	require.Equal(t, want.generation, info.Generation)
	require.Equal(t, want.kek, info.KEK)
	require.True(t, strings.HasPrefix(info.KEKParams, want.params), info.KEKParams)
	require.Equal(t, []keyset.Key{{ID: info.Primary, Primary: true, Status: "enabled", Template: want.template}}, info.Keys)
}
