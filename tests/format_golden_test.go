package tests

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
	"github.com/oxide-k/stateregistry/tests/formatreader"
)

// goldenDir has files that must open for ever, each with a description beside it. -update adds those that are missing and
// rewrites none: nonces and salts are random, so a file that was written once cannot be written again.
const goldenDir = "testdata/golden"

// golden is a file's description: what opens it and what it holds.
type golden struct {
	KEK     *goldenKEK        `json:"kek,omitempty"` // none: plaintext
	Keys    []goldenKey       `json:"keys,omitempty"`
	Config  map[string]string `json:"config"` // the JSON text of each value
	Modules []goldenModule    `json:"modules"`
}

type goldenKEK struct {
	Kind       keyset.Kind `json:"kind"`
	RawKey     string      `json:"raw_key,omitempty"`    // hex
	Passphrase string      `json:"passphrase,omitempty"` // UTF-8
	Name       string      `json:"name,omitempty"`       // of the AEAD, which is XChaCha20-Poly1305 under a key:
	Key        string      `json:"key,omitempty"`        // hex
}

type goldenKey struct {
	ID       string `json:"id"` // hex
	Primary  bool   `json:"primary"`
	Template string `json:"template"`
	Values   int    `json:"values"` // how many are under it
}

type goldenModule struct {
	ID          string  `json:"id"`
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Kind        string  `json:"kind"`
	State       string  `json:"state"`
	Description *string `json:"description"`
}

// goldenFile is how one is made.
type goldenFile struct {
	name     string
	kek      *goldenKEK
	template keyset.Template
	rotating bool // a rotation was interrupted: values under both keys
}

// goldenRaw is the bytes 00 to 1f.
var goldenRaw = goldenKEK{Kind: keyset.KindRawKey, RawKey: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"}

var goldenFiles = []goldenFile{
	{name: "plaintext"},
	{name: "rawkey-xchacha20poly1305", kek: &goldenRaw, template: keyset.XChaCha20Poly1305},
	{name: "rawkey-xaes256gcm", kek: &goldenRaw, template: keyset.XAES256GCM},
	{name: "rawkey-aes256gcm", kek: &goldenRaw, template: keyset.AES256GCM},
	{name: "passphrase", kek: &goldenKEK{Kind: keyset.KindPassphrase, Passphrase: "соль & pepper, no secret"}},
	{name: "aead", kek: &goldenKEK{
		Kind: keyset.KindAEAD, Name: "local:keys/registry-1",
		Key: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
	}},
	{name: "rotating", kek: &goldenRaw, template: keyset.AES256GCM, rotating: true},
}

// kek is the key-encryption key as the registry takes it.
func (k *goldenKEK) kek(t testing.TB) keyset.KEK {
	switch k.Kind {
	case keyset.KindRawKey:
		return keyset.RawKey(fromHex(t, k.RawKey))
	case keyset.KindPassphrase:
		return keyset.Passphrase(k.Passphrase)
	case keyset.KindAEAD:
		return keyset.AEAD(k.Name, newGoldenCipher(t, fromHex(t, k.Key)))
	}
	require.FailNow(t, "no such kind", "%s", k.Kind)
	return keyset.KEK{}
}

// openGolden opens a registry as its description says.
func openGolden(t testing.TB, path string, k *goldenKEK, opts ...registry.Option) *registry.Registry {
	t.Helper()
	var reg *registry.Registry
	var err error
	if k == nil {
		reg, err = registry.Open(t.Context(), path, opts...)
	} else {
		reg, err = registry.OpenEncrypted(t.Context(), path, k.kek(t), opts...)
	}
	require.NoError(t, err)
	return reg
}

// addGoldenFiles makes the files that are missing.
func addGoldenFiles(t *testing.T) {
	for _, f := range goldenFiles {
		path := filepath.Join(goldenDir, f.name)
		if _, err := os.Stat(path + ".db"); err == nil {
			continue
		}
		made := filepath.Join(t.TempDir(), f.name+".db")
		f.make(t, made)
		reg := openGolden(t, made, f.kek)
		description := describeGolden(t, reg, f.kek)
		closeVerified(t, reg)
		// As small as it gets, and without a WAL.
		sqliteExec(t, made, "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)")
		require.Equal(t, []string{f.name + ".db"}, names(t, filepath.Dir(made)))
		var text bytes.Buffer
		enc := json.NewEncoder(&text)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		require.NoError(t, enc.Encode(description))
		require.NoError(t, os.MkdirAll(goldenDir, 0o755))
		require.NoError(t, os.WriteFile(path+".json", text.Bytes(), 0o644))
		data, err := os.ReadFile(made)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path+".db", data, 0o644))
	}
}

func (f goldenFile) make(t *testing.T, path string) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	reg := openGolden(t, path, f.kek, registry.WithKeyTemplate(f.template), registry.WithLogLimit(64),
		registry.WithClock(func() time.Time { return at }))
	fillGolden(t, reg)
	require.NoError(t, reg.Close())
	if f.rotating {
		interruptRotation(t, path, f.kek)
	}
}

// fillGolden writes every kind of value, and two modules.
func fillGolden(t testing.TB, w registry.Writer) {
	t.Helper()
	ctx := t.Context()
	for key, value := range map[string]any{
		"greeting":    "Hello, agent.",
		"max_threads": 16,
		"nothing":     nil,
		"größe/日本":    "naïve ☃ <&>",
		"endpoint":    map[string]any{"url": "https://example.com/?a=1&b=2", "retries": 3},
		"long":        strings.Repeat("0123456789", 50),
	} {
		_, err := w.SetConfig(ctx, key, value)
		require.NoError(t, err)
	}
	text := "event-sourced local data mirror"
	_, err := w.UpsertModule(ctx, registry.ModuleMetadata{
		ID: "oxide-mirror", Name: "Oxide Mirror", Version: "0.3.0", Kind: registry.KindNative, Description: &text,
	}, registry.StateRunning)
	require.NoError(t, err)
	_, err = w.UpsertModule(ctx, registry.ModuleMetadata{
		ID: "echo", Name: "Écho", Version: "0.1.0", Kind: registry.KindWasm,
	}, registry.StateLoaded)
	require.NoError(t, err)
}

// interruptRotation ends a rotation to XAES-256-GCM after its first page, which is keys below the filler's.
func interruptRotation(t testing.TB, path string, k *goldenKEK) {
	t.Helper()
	const filler = "filler" // more than a page by itself
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reg := openGolden(t, path, k, registry.WithProgress(func(_, _ int64) { cancel() }))
	_, err := reg.SetConfig(ctx, filler, strings.Repeat("-", 4<<20))
	require.NoError(t, err)
	_, err = reg.RotateKeyset(ctx, registry.RotateTo(keyset.XAES256GCM))
	require.ErrorIs(t, err, context.Canceled)
	_, err = reg.DeleteConfig(t.Context(), filler)
	require.NoError(t, err)
	require.NoError(t, reg.Close())
}

// describeGolden is what a registry holds, as the registry says.
func describeGolden(t testing.TB, reg *registry.Registry, k *goldenKEK) golden {
	t.Helper()
	ctx := t.Context()
	g := golden{KEK: k, Config: map[string]string{}}
	entries, err := reg.ListConfig(ctx, "")
	require.NoError(t, err)
	for _, e := range entries {
		var text json.RawMessage
		require.NoError(t, e.Decode(&text))
		require.Equal(t, k != nil, e.Encrypted)
		g.Config[e.Key] = string(text)
	}
	modules, err := reg.ListModules(ctx)
	require.NoError(t, err)
	for _, m := range modules {
		g.Modules = append(g.Modules, goldenModule{
			m.ID, m.Name, m.Version, string(m.Kind), string(m.State), m.Description,
		})
	}
	if k == nil {
		return g
	}
	info, err := reg.KeysetInfo(ctx)
	require.NoError(t, err)
	values := valuesUnder(t, reg)
	for _, key := range info.Keys {
		id := fmt.Sprintf("%08x", key.ID)
		g.Keys = append(g.Keys, goldenKey{id, key.Primary, key.Template.String(), values[id]})
	}
	return g
}

// valuesUnder counts the values under each key with SQL alone.
func valuesUnder(t testing.TB, reg *registry.Registry) map[string]int {
	t.Helper()
	rows, err := reg.ReadDB().QueryContext(t.Context(), "SELECT substr(value, 8, 8), count(*) FROM config GROUP BY 1")
	require.NoError(t, err)
	defer rows.Close()
	found := map[string]int{}
	for rows.Next() {
		var id string
		var n int
		require.NoError(t, rows.Scan(&id, &n))
		found[id] = n
	}
	require.NoError(t, rows.Err())
	return found
}

// describeContent is the same, as the page's reader says.
func describeContent(c *formatreader.Content, k *goldenKEK) golden {
	g := golden{KEK: k, Config: map[string]string{}}
	values := map[uint32]int{}
	for _, e := range c.Config {
		g.Config[e.Key] = e.JSON
		values[e.KeyID]++
	}
	for _, m := range c.Modules {
		g.Modules = append(g.Modules, goldenModule{m.ID, m.Name, m.Version, m.Kind, m.State, m.Description})
	}
	if c.Keyset != nil {
		for _, key := range c.Keyset.Keys() {
			g.Keys = append(g.Keys, goldenKey{
				ID: fmt.Sprintf("%08x", key.ID), Primary: key.ID == c.Keyset.Primary, Template: key.Algorithm, Values: values[key.ID],
			})
		}
	}
	return g
}

func fromHex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
	require.NoError(t, err)
	return b
}
