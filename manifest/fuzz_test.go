package manifest_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/manifest"
	"github.com/oxide-k/stateregistry/registry"
)

// FuzzParse: whatever the text, there is ErrInvalid, or a manifest that the registry takes and gives back as it was, and that is
// written and read again without a loss.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(testdata, "*", manifest.FileName))
	require.NoError(f, err)
	require.Len(f, files, 3)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(text)
	}
	for _, text := range []string{
		``, `null`, `{}`, `[{}]`, `{"id":"a","name":"A","version":"1","kind":"wasm"}`,
		`{"id":"\ud800","name":"\u0000","version":"1","kind":"native","description":"\ufffd"}`,
		`{"id":"a","id":"b","name":"","version":"","kind":"wasm","operations":[null,"say"]}`,
		`{"id":"a","name":"\ud83d\ude00","version":"","kind":"wasm","capabilities":["net"],"ID": {"x" : [1.0]},"":null}`,
	} {
		f.Add([]byte(text))
	}
	reg, err := registry.Open(f.Context(), registry.InMemory)
	require.NoError(f, err)
	f.Cleanup(func() { require.NoError(f, reg.Close()) })

	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, registry.ErrInvalid)
			require.Zero(t, m)
			return
		}
		_, err = reg.UpsertModule(t.Context(), m.Metadata(), registry.StateLoaded)
		require.NoError(t, err)
		record, err := reg.GetModule(t.Context(), m.ID)
		require.NoError(t, err)
		require.Equal(t, m.Metadata(), record.ModuleMetadata)

		written, err := m.MarshalJSON()
		if len(text) > manifest.MaxSize/6 && err != nil { // an escape may take six bytes, of which there was one
			require.ErrorContains(t, err, "bytes")
			return
		}
		require.NoError(t, err)
		again, err := manifest.Parse(written)
		require.NoError(t, err)
		require.Equal(t, m, again)
	})
}
