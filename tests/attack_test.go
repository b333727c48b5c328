package tests

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/kdf"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// What somebody can do to an encrypted registry who can write to its file, or writes to it without knowing better. Each
// attack ends in a named error; none reads a wrong value, none panics, none harms a neighbour.
func TestAttacks(t *testing.T) { suite.Run(t, &attackSuite{}) }

type attackSuite struct {
	suite.Suite
	dir   string // of the test or subtest that runs
	outer string // of the test around a subtest
}

// SetupTest makes the folder.
func (s *attackSuite) SetupTest() { s.dir = s.T().TempDir() }

// SetupSubTest makes another.
func (s *attackSuite) SetupSubTest() { s.outer, s.dir = s.dir, s.T().TempDir() }

// TearDownSubTest goes back to the first.
func (s *attackSuite) TearDownSubTest() { s.dir = s.outer }

// The secrets of these tests: whatever an error, a file or a printed value holds, it is none of them.
const (
	attackPassphrase = "canary-passphrase 93-sesame"
	attackRawKey     = "raw-canary-key-0123456789abcdef!" // 32 bytes
)

// The entries that attackSuite.create writes, beside the module echo.
const (
	victim     = "m/victim" // holds the canary
	neighbour1 = "a/neighbour"
	neighbour2 = "z/neighbour"
)

// Guards that have to be lifted before an attack that a writer of plain SQL cannot make.
var (
	silentValueGuards = regexp.MustCompile(`^config_(insert_value|update_value|update)$`) // the last: an attacker leaves no trace
	keysetRowGuards   = regexp.MustCompile(`^(keyset|registry)_`)
)

func rawKEK32() keyset.KEK { return keyset.RawKey([]byte(attackRawKey)) }

// cheapPassphrase costs as little as is allowed.
func cheapPassphrase(text string) keyset.KEK {
	return keyset.PassphraseAtCost(text, kdf.Cost{Time: 1, MemoryKiB: 8 << 10, Threads: 1})
}

// file is a path in the test's folder.
func (s *attackSuite) file(name string) string { return filepath.Join(s.dir, name) }

// create makes an encrypted registry in a file of the test's folder, with the entries above, and closes it.
func (s *attackSuite) create(name string, kek keyset.KEK, opts ...registry.Option) string {
	s.T().Helper()
	reg, err := registry.OpenEncrypted(s.T().Context(), s.file(name), kek, opts...)
	s.Require().NoError(err)
	s.fill(reg)
	s.Require().NoError(reg.Close())
	return s.file(name)
}

func (s *attackSuite) fill(w registry.Writer) {
	s.T().Helper()
	for key, value := range map[string]any{victim: canary, neighbour1: 1, neighbour2: "two"} {
		s.set(w, key, value)
	}
	_, err := w.UpsertModule(s.T().Context(), registry.ModuleMetadata{ID: "echo", Kind: registry.KindWasm}, registry.StateLoaded)
	s.Require().NoError(err)
}

func (s *attackSuite) set(w registry.Writer, key string, value any) {
	s.T().Helper()
	_, err := w.SetConfig(s.T().Context(), key, value)
	s.Require().NoError(err)
}

// open opens a registry with its key, and closes it at the end of the test, or of the subtest that runs.
func (s *attackSuite) open(path string, kek keyset.KEK, opts ...registry.Option) *registry.Registry {
	s.T().Helper()
	reg, err := registry.OpenEncrypted(s.T().Context(), path, kek, opts...)
	s.Require().NoError(err)
	s.closeLater(reg)
	return reg
}

// openLocked opens a registry without its key.
func (s *attackSuite) openLocked(path string, opts ...registry.Option) *registry.Registry {
	s.T().Helper()
	reg, err := registry.Open(s.T().Context(), path, opts...)
	s.Require().NoError(err)
	s.closeLater(reg)
	return reg
}

func (s *attackSuite) closeLater(reg *registry.Registry) {
	require := s.Require() // the subtest's
	s.T().Cleanup(func() { require.NoError(reg.Close()) })
}

// raw opens the file as an attacker does: any connection, none of the registry's care.
func (s *attackSuite) raw(path string) *sql.DB {
	s.T().Helper()
	raw := sqliteOpen(s.T(), path)
	s.exec(raw, "PRAGMA synchronous = OFF")
	return raw
}

func (s *attackSuite) exec(raw *sql.DB, statements ...string) {
	s.T().Helper()
	for _, statement := range statements {
		_, err := raw.Exec(statement)
		s.Require().NoError(err, statement)
	}
}

// lift drops the guards whose names match, and gives the function that puts them back.
func (s *attackSuite) lift(raw *sql.DB, guards *regexp.Regexp) (restore func()) {
	s.T().Helper()
	catalog, err := db.New().ListCatalog(s.T().Context(), raw)
	s.Require().NoError(err)
	var definitions []string
	for _, object := range catalog {
		if object.Kind == "trigger" && guards.MatchString(object.ObjectName) {
			definitions = append(definitions, object.Definition)
			s.exec(raw, "DROP TRIGGER "+object.ObjectName)
		}
	}
	s.Require().NotEmpty(definitions)
	return func() { s.exec(raw, definitions...) }
}

// forge runs statements with the guards of values and of the keyset lifted, on a connection that also leaves CHECKs alone.
func (s *attackSuite) forge(path string, statements ...string) {
	s.T().Helper()
	raw := s.raw(path)
	s.exec(raw, "PRAGMA ignore_check_constraints = ON", "BEGIN")
	restoreValues, restoreKeyset := s.lift(raw, silentValueGuards), s.lift(raw, keysetRowGuards)
	s.exec(raw, statements...)
	restoreKeyset()
	restoreValues()
	s.exec(raw, "COMMIT")
	s.Require().NoError(raw.Close())
}

// plant puts a text in the place of a value.
func (s *attackSuite) plant(path, key, text string) {
	s.T().Helper()
	s.forge(path, fmt.Sprintf("UPDATE config SET value = %s WHERE key = '%s'", textLiteral(text), key))
}

// stored is a value as the file holds it.
func (s *attackSuite) stored(path, key string) string {
	s.T().Helper()
	raw := sqliteOpen(s.T(), path)
	var text string
	s.Require().NoError(raw.QueryRow("SELECT value FROM config WHERE key = ?", key).Scan(&text))
	s.Require().NoError(raw.Close())
	return text
}

// refuses fails unless err is one of the registry's, for all of these reasons, and keeps the secrets.
func (s *attackSuite) refuses(err error, reasons ...error) {
	s.T().Helper()
	s.Require().Error(err)
	for _, reason := range reasons {
		s.Require().ErrorIs(err, reason)
	}
	var known *registry.Error
	s.Require().ErrorAs(err, &known)
	s.keepsSecrets(err)
}

// keepsSecrets looks for the secrets in all that can be printed of an error and of those it wraps.
func (s *attackSuite) keepsSecrets(err error) {
	s.T().Helper()
	for _, e := range unwrapped(err) {
		s.printsNoSecret(e)
	}
}

func (s *attackSuite) printsNoSecret(value any) {
	s.T().Helper()
	text := fmt.Sprintf("%v %+v %#v", value, value, value)
	if found := secretsIn([]byte(text)); len(found) > 0 {
		s.Require().Fail("a secret is printed", "%s in %s", found, text)
	}
}

// refusesToOpen fails unless opening with that key gives an error for all of these reasons, in each way, and leaves the
// file as it was, byte for byte. What any reader leaves beside a file in WAL mode may be there. It returns the error.
func (s *attackSuite) refusesToOpen(path string, kek keyset.KEK, reasons ...error) (err error) {
	s.T().Helper()
	before := s.content(path)
	for _, opts := range [][]registry.Option{nil, {registry.WithMustExist()}, {registry.WithReadOnly()}} {
		var reg *registry.Registry
		reg, err = registry.OpenEncrypted(s.T().Context(), path, kek, opts...)
		s.Require().Nil(reg)
		s.refuses(err, reasons...)
		s.Require().Equal(before, s.content(path))
	}
	return err
}

// content is what lies in the folder of a closed file, but for an index of a WAL, and a WAL that is empty.
func (s *attackSuite) content(path string) map[string]string {
	s.T().Helper()
	found := folder(s.T(), filepath.Dir(path))
	delete(found, filepath.Base(path)+"-shm")
	if wal := filepath.Base(path) + "-wal"; strings.HasSuffix(found[wal], hashOf(nil)) {
		delete(found, wal)
	}
	return found
}

// neighboursRead fails unless all that was not attacked is there and reads.
func (s *attackSuite) neighboursRead(r registry.Reader) {
	s.T().Helper()
	ctx := s.T().Context()
	one, err := registry.Get[int](ctx, r, neighbour1)
	s.Require().NoError(err)
	s.Require().Equal(1, one)
	two, err := registry.Get[string](ctx, r, neighbour2)
	s.Require().NoError(err)
	s.Require().Equal("two", two)
	_, err = r.GetModule(ctx, "echo")
	s.Require().NoError(err)
}

// opensWhole fails unless the registry opens with its key and holds what create wrote, the victim too.
func (s *attackSuite) opensWhole(path string, kek keyset.KEK) {
	s.T().Helper()
	reg, err := registry.OpenEncrypted(s.T().Context(), path, kek, registry.WithMustExist())
	s.Require().NoError(err)
	s.neighboursRead(reg)
	value, err := registry.Get[string](s.T().Context(), reg, victim)
	s.Require().NoError(err)
	s.Require().Equal(canary, value)
	closeVerified(s.T(), reg)
}

// copied copies a closed registry within the test's folder.
func (s *attackSuite) copied(from, name string) string {
	s.T().Helper()
	copyFile(s.T(), from, s.file(name))
	return s.file(name)
}

// isOneOf reports whether err is for one of the reasons.
func isOneOf(err error, reasons ...error) bool {
	for _, reason := range reasons {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// read is the content of a closed file.
func (s *attackSuite) read(path string) []byte {
	s.T().Helper()
	data, err := os.ReadFile(path)
	s.Require().NoError(err)
	return data
}

func (s *attackSuite) write(path string, data []byte) {
	s.T().Helper()
	s.Require().NoError(os.WriteFile(path, data, 0o600))
	for _, suffix := range []string{"-wal", "-shm"} {
		_ = os.Remove(path + suffix)
	}
}

// only is where data holds part, which is in one place.
func (s *attackSuite) only(data, part []byte) int {
	s.T().Helper()
	s.Require().Equal(1, bytes.Count(data, part))
	return bytes.Index(data, part)
}

// textLiteral is any bytes as SQL text.
func textLiteral(bytes string) string { return fmt.Sprintf("CAST(x'%x' AS TEXT)", bytes) }
