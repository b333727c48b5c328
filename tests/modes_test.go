package tests

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// mode is one way to store a registry. Another way to store them joins by adding a value to modes. open makes a registry
// where there is none yet: empty, at revision 0.
type mode struct {
	name   string
	memory bool // no file: nothing to reopen, no snapshots, no second process
	open   opener
	kek    keyset.KEK // what open opens the keyset with; none in a plaintext mode
	// origin says that the mode differs from "encrypted" in how its registries came about, and which keys open them: tests
	// that are long do less in it.
	origin bool
}

var modes = []mode{
	{name: "plaintext", open: registry.Open},
	{name: "plaintext-memory", open: registry.Open, memory: true},
	{name: "encrypted", kek: modeRawKey(), open: encryptedWith(modeRawKey())},
	{name: "encrypted-memory", kek: modeRawKey(), open: encryptedWith(modeRawKey()), memory: true},
	{name: "rotated", kek: modeCheapPassphrase(), origin: true, open: madeBy(rotatedFirst(encryptedXAES), encryptedXAES)},
	{name: "encrypted-from-plain", kek: modeFromKMS(), origin: true,
		open: madeBy(plainFirst(modeFromKMS()), encryptedWith(modeFromKMS()))},
	{name: "encrypted-from-oxide", kek: modeCheapPassphrase(), origin: true,
		open: madeBy(oxideFirst(modeCheapPassphrase()), encryptedWith(modeCheapPassphrase()))},
}

// encrypted reports whether the file holds no value as it is.
func (m mode) encrypted() bool { return m.kek.Kind() != "" }

// rounds is how often a test repeats what it repeats to meet rare moments: n times, and less in the encrypted modes.
func (m mode) rounds(n int) int {
	switch {
	case m.origin:
		return n / 8
	case m.encrypted():
		return n / 3
	}
	return n
}

// unreadable is what reading gives of a value that no registry wrote.
func (m mode) unreadable() error {
	if m.encrypted() {
		return registry.ErrTampered
	}
	return registry.ErrDecode
}

// path is a place for a new registry of this mode.
func (m mode) path(t testing.TB) string {
	if m.memory {
		return registry.InMemory
	}
	return filepath.Join(t.TempDir(), "registry.db")
}

// modeSuite is what the suites embed: a new registry for each test, which is verified and closed at its end.
type modeSuite struct {
	suite.Suite
	mode mode
	path string
	reg  *registry.Registry
}

func (s *modeSuite) setMode(m mode) { s.mode = m }

// SetupTest opens a new registry.
func (s *modeSuite) SetupTest() {
	s.path = s.mode.path(s.T())
	s.reg = s.open()
}

// TearDownTest verifies the test's registry and closes it.
func (s *modeSuite) TearDownTest() {
	if s.reg == nil {
		return
	}
	report, err := s.reg.Verify(s.T().Context())
	s.Require().NoError(err, "%v", report.Problems)
	s.Require().NoError(s.reg.Close())
}

// open opens the test's path once more, as this mode does.
func (s *modeSuite) open(opts ...registry.Option) *registry.Registry {
	reg, err := s.mode.open(s.T().Context(), s.path, opts...)
	s.Require().NoError(err)
	return reg
}

// reopen closes the test's registry and opens it again with other options. In memory it stays as it is.
func (s *modeSuite) reopen(opts ...registry.Option) {
	if s.mode.memory {
		return
	}
	s.Require().NoError(s.reg.Close())
	s.reg = s.open(opts...)
}

// runInModes runs a suite once in each mode. newSuite makes a fresh one.
func runInModes[S interface {
	suite.TestingSuite
	setMode(mode)
}](t *testing.T, newSuite func() S) {
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) {
			s := newSuite()
			s.setMode(m)
			suite.Run(t, s)
		})
	}
}

// sealed is the text under which a registry stores a JSON value for a key: what SQL of one's own has to write there.
func sealed(t testing.TB, reg *registry.Registry, key, value string) (text string) {
	t.Helper()
	undone := errors.New("undone")
	err := reg.Update(t.Context(), func(ctx context.Context, tx *registry.Tx) error {
		if _, err := tx.SetConfig(ctx, key, json.RawMessage(value)); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT value FROM config WHERE key = ?", key).Scan(&text); err != nil {
			return err
		}
		return undone
	})
	require.ErrorIs(t, err, undone)
	return text
}

// plainEntry is a config entry without what opens it, which differs from one opening to the next.
type plainEntry struct {
	entry registry.ConfigEntry // the exported fields
	value string
}

// plainEntries are entries whose values can be opened.
func plainEntries(t testing.TB, entries ...registry.ConfigEntry) (plain []plainEntry) {
	t.Helper()
	for _, e := range entries {
		var value json.RawMessage
		require.NoError(t, e.Decode(&value))
		plain = append(plain, plainEntry{registry.ConfigEntry{
			Key: e.Key, Revision: e.Revision, UpdatedAt: e.UpdatedAt, Encrypted: e.Encrypted,
		}, string(value)})
	}
	return plain
}
