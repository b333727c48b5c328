package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

// What encryption does not do, as docs/threat-model.md says: each of these is possible for who can read, or write, the file.
// One that is no longer possible changes that page.
func TestLimits(t *testing.T) { suite.Run(t, &limitSuite{}) }

type limitSuite struct {
	suite.Suite
	ctx      context.Context
	path     string
	kek, new keyset.KEK
}

func (s *limitSuite) SetupTest() {
	s.ctx = s.T().Context()
	s.path = filepath.Join(s.T().TempDir(), "registry.db")
	s.kek, s.new = keyset.RawKey(bytes.Repeat([]byte{1}, 32)), keyset.RawKey(bytes.Repeat([]byte{2}, 32))
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		s.set(reg, "a", "old")
		s.set(reg, "b", 42)
	})
}

// with opens a registry, and verifies and closes it.
func (s *limitSuite) with(path string, kek keyset.KEK, f func(*registry.Registry)) {
	s.T().Helper()
	reg, err := registry.OpenEncrypted(s.ctx, path, kek)
	s.Require().NoError(err)
	f(reg)
	closeVerified(s.T(), reg)
}

func (s *limitSuite) set(reg *registry.Registry, key string, value any) {
	s.T().Helper()
	_, err := reg.SetConfig(s.ctx, key, value)
	s.Require().NoError(err)
}

func (s *limitSuite) holds(reg *registry.Registry, key string, want any) {
	s.T().Helper()
	var got any
	s.Require().NoError(reg.GetConfig(s.ctx, key, &got))
	s.Require().EqualValues(want, got)
}

// cell is what a query gives, as an SQL literal.
func (s *limitSuite) cell(path, query string) string {
	s.T().Helper()
	rows := sqliteRows(s.T(), path, "SELECT quote(("+query+"))")
	return strings.Trim(rows[0][0], `"`)
}

const valueOfA = "SELECT value FROM config WHERE key = 'a'"

func (s *limitSuite) TestAnOlderValueOfTheSameKeyIsTaken() {
	old := s.cell(s.path, valueOfA)
	s.with(s.path, s.kek, func(reg *registry.Registry) { s.set(reg, "a", "new") })
	sqliteExec(s.T(), s.path, "UPDATE config SET value = "+old+" WHERE key = 'a'")
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		s.holds(reg, "a", "old")
		_, err := reg.RotateKeyset(s.ctx)
		s.Require().NoError(err)
		s.set(reg, "a", "new")
	})
	// Not once the keys were rotated.
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		sqliteExec(s.T(), s.path, "UPDATE config SET value = substr(value, 1, 16) || substr("+old+", 17) WHERE key = 'a'")
		s.Require().ErrorIs(reg.GetConfig(s.ctx, "a", new(any)), registry.ErrTampered)
		s.set(reg, "a", "new")
	})
}

func (s *limitSuite) TestAnOlderCopyOfTheFileIsTakenWithItsOldKEK() {
	old := s.path + ".old"
	copyFile(s.T(), s.path, old)
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		s.Require().NoError(reg.Rewrap(s.ctx, s.new))
		_, err := reg.RotateKeyset(s.ctx)
		s.Require().NoError(err)
		s.set(reg, "a", "new")
	})
	s.with(old, s.kek, func(reg *registry.Registry) { s.holds(reg, "a", "old") })
}

func (s *limitSuite) TestAnOlderKeysetRowIsTaken() {
	const columns = "generation, marker, kek, kek_params, wrapped"
	var old []string
	for _, column := range strings.Split(columns, ", ") {
		old = append(old, s.cell(s.path, "SELECT "+column+" FROM keyset"))
	}
	s.with(s.path, s.kek, func(reg *registry.Registry) { s.Require().NoError(reg.Rewrap(s.ctx, s.new)) })
	sqliteDamage(s.T(), s.path, regexp.MustCompile(`^keyset_`),
		fmt.Sprintf("UPDATE keyset SET (%s) = (%s)", columns, strings.Join(old, ", ")))
	s.with(s.path, s.kek, func(reg *registry.Registry) { s.holds(reg, "a", "old") })
}

func (s *limitSuite) TestCopiesOfOneFileCanSwapValues() {
	other := s.path + ".copy"
	copyFile(s.T(), s.path, other)
	s.with(other, s.kek, func(reg *registry.Registry) { s.set(reg, "a", "the copy's") })
	sqliteExec(s.T(), s.path, "UPDATE config SET value = "+s.cell(other, valueOfA)+" WHERE key = 'a'")
	s.with(s.path, s.kek, func(reg *registry.Registry) { s.holds(reg, "a", "the copy's") })
}

func (s *limitSuite) TestADeletedEntryIsNotMissed() {
	sqliteExec(s.T(), s.path, "DELETE FROM config WHERE key = 'a'")
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		s.Require().ErrorIs(reg.GetConfig(s.ctx, "a", new(any)), registry.ErrConfigNotFound)
		s.holds(reg, "b", 42)
	})
}

// Nothing is left that says that it was encrypted, and under what: any KEK will do.
func (s *limitSuite) TestAnEmptiedRegistryIsEncryptedAnew() {
	sqliteExec(s.T(), s.path, "DELETE FROM config", "UPDATE keyset SET generation = generation + 1, marker = ''", "DELETE FROM keyset")
	s.with(s.path, s.new, func(reg *registry.Registry) { s.set(reg, "a", "new") })
}

// Open believes what Open finds: who falls back to it reads what an attacker wrote.
func (s *limitSuite) TestWithoutAKEKPlaintextIsTaken() {
	sqliteExec(s.T(), s.path, "UPDATE keyset SET generation = generation + 1, marker = ''", "DELETE FROM keyset",
		`UPDATE config SET value = '"forged"'`)
	_, err := registry.OpenEncrypted(s.ctx, s.path, s.kek)
	s.Require().ErrorIs(err, registry.ErrNotEncrypted)
	reg, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	s.holds(reg, "a", "forged")
	s.Require().NoError(reg.Close())
}

func (s *limitSuite) TestModulesAreAsAnybodyWroteThem() {
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		_, err := reg.UpsertModule(s.ctx, registry.ModuleMetadata{
			ID: "echo", Name: "Echo", Version: "1", Kind: registry.KindNative,
		}, registry.StateLoaded)
		s.Require().NoError(err)
	})
	sqliteExec(s.T(), s.path, `UPDATE modules SET state = '"running"', updated_at = updated_at`)
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		m, err := reg.GetModule(s.ctx, "echo")
		s.Require().NoError(err)
		s.Require().Equal(registry.StateRunning, m.State)
	})
}

func (s *limitSuite) TestNamesTimesAndLengthsAreVisible() {
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		s.set(reg, "short", "x")
		s.set(reg, "long", strings.Repeat("x", 100))
		_, err := reg.DeleteConfig(s.ctx, "short")
		s.Require().NoError(err)
	})
	reg, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	defer reg.Close()
	entries, err := reg.ListConfig(s.ctx, "")
	s.Require().NoError(err)
	s.Require().Len(entries, 3)
	s.Require().Equal("long", entries[2].Key)
	s.Require().False(entries[2].UpdatedAt.IsZero())
	s.Require().EqualValues(4, entries[2].Revision)
	changes, err := reg.Changes(s.ctx, 4, 1)
	s.Require().NoError(err)
	s.Require().Equal("short", changes[0].Key, "the log names what was deleted")
	// 16 characters before the base64, 45 bytes more than the JSON.
	length := s.cell(s.path, "SELECT (length(value) - 16) * 3 / 4 - 45 FROM config WHERE key = 'long'")
	s.Require().Equal("102", length)
}

// The old keyset, under the old KEK, is in the file until its page is overwritten: Rewrap alone revokes nothing.
func (s *limitSuite) TestTheOldKeysetStaysInTheFileForAWhile() {
	old := fromHex(s.T(), strings.Trim(s.cell(s.path, "SELECT wrapped FROM keyset"), "X'"))
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		s.Require().NoError(reg.View(s.ctx, func(context.Context, *registry.Tx) error {
			return reg.Rewrap(s.ctx, s.new)
		}))
		// Another process reads: closing a second descriptor would drop this one's locks.
		data, err := exec.CommandContext(s.ctx, program(s.T(), "cat"), s.path, s.path+"-wal").Output()
		s.Require().NoError(err)
		s.Require().True(bytes.Contains(data, old))
	})
}

// Rewrap leaves the data keys as they are. Whoever had the old KEK has them, and whoever sees the row of that moment, under the new
// KEK, can put it back after a rotation, with values of their own. Rekey leaves no such row: see TestRevocation.
func (s *limitSuite) TestARowThatARewrapLeftIsTakenAfterARotation() {
	attacker := &attackSuite{dir: s.T().TempDir()}
	attacker.SetT(s.T())
	row, leaked := attacker.unwrapped(s.path, s.kek)
	s.with(s.path, s.kek, func(reg *registry.Registry) { s.Require().NoError(reg.Rewrap(s.ctx, s.new)) })
	between, _ := attacker.unwrapped(s.path, s.new)
	s.with(s.path, s.new, func(reg *registry.Registry) {
		_, err := reg.RotateKeyset(s.ctx)
		s.Require().NoError(err)
	})
	attacker.forge(s.path, putBack(between), "UPDATE config SET value = '"+s.forged(leaked, row.RegistryID)+"' WHERE key = 'a'")
	reg, err := registry.OpenEncrypted(s.ctx, s.path, s.new)
	s.Require().NoError(err)
	s.holds(reg, "a", "forged")
	s.Require().NoError(reg.Close())
}

// A KEK that the registry had before is no fresh one, and the first row still opens under it.
func (s *limitSuite) TestARekeyToAFormerKEKRevokesNothing() {
	attacker := &attackSuite{dir: s.T().TempDir()}
	attacker.SetT(s.T())
	row, leaked := attacker.unwrapped(s.path, s.kek)
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		for _, kek := range []keyset.KEK{s.new, s.kek} {
			_, err := reg.Rekey(s.ctx, kek)
			s.Require().NoError(err)
		}
	})
	attacker.forge(s.path, putBack(row), "UPDATE config SET value = '"+s.forged(leaked, row.RegistryID)+"' WHERE key = 'a'")
	reg, err := registry.OpenEncrypted(s.ctx, s.path, s.kek)
	s.Require().NoError(err)
	s.holds(reg, "a", "forged")
	s.Require().NoError(reg.Close())
}

// What somebody with a key put there before a Rekey is sealed with the rest.
func (s *limitSuite) TestWhatWasForgedBeforeARekeyStays() {
	attacker := &attackSuite{dir: s.T().TempDir()}
	attacker.SetT(s.T())
	row, leaked := attacker.unwrapped(s.path, s.kek)
	attacker.forge(s.path, "UPDATE config SET value = '"+s.forged(leaked, row.RegistryID)+"' WHERE key = 'a'")
	s.with(s.path, s.kek, func(reg *registry.Registry) {
		_, err := reg.Rekey(s.ctx, s.new)
		s.Require().NoError(err)
		s.holds(reg, "a", "forged")
	})
}

// forged returns a value of the entry a that whoever has the keyset makes.
func (s *limitSuite) forged(handle *keyset.Handle, id string) string {
	value, err := handle.Encrypt([]byte(`"forged"`), envelope.AppendValue(nil, id, "config", "a", handle.Primary()))
	s.Require().NoError(err)
	text, err := envelope.Seal(value)
	s.Require().NoError(err)
	return text
}

// Another registry, whole, in the place of this one: the KEK opens both. WithRegistryID tells them apart.
func (s *limitSuite) TestAnotherRegistryUnderTheSameKEKIsTaken() {
	other := filepath.Join(s.T().TempDir(), "other.db")
	s.with(other, s.kek, func(reg *registry.Registry) { s.set(reg, "a", "the other's") })
	id := ""
	s.with(s.path, s.kek, func(reg *registry.Registry) { id = reg.ID() })
	s.Require().NoError(os.Remove(s.path))
	copyFile(s.T(), other, s.path)
	_, err := registry.OpenEncrypted(s.ctx, s.path, s.kek, registry.WithRegistryID(id))
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.with(s.path, s.kek, func(reg *registry.Registry) { s.holds(reg, "a", "the other's") })
}
