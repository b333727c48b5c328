package tests

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRollback(t *testing.T) { suite.Run(t, &rollbackSuite{}) }

// rollbackSuite is about a registry that is open while somebody puts an older keyset, or another registry, into its file.
type rollbackSuite struct {
	rekeySuite
	attacker *attackSuite
}

func (s *rollbackSuite) SetupTest() {
	s.rekeySuite.SetupTest()
	s.attacker = &attackSuite{dir: s.T().TempDir()}
	s.attacker.SetT(s.T())
	s.fill(s.reg, 3)
}

// TearDownTest closes what Verify would find damaged.
func (s *rollbackSuite) TearDownTest() { s.Require().NoError(s.reg.Close()) }

func (s *rollbackSuite) row(path string) db.GetKeysetRow {
	row, _ := s.attacker.unwrapped(path, kekOf(1))
	return row
}

// refusesIt requires that the open registry writes no value, and takes no keyset but its own, nor a value that is under another.
func (s *rollbackSuite) refusesIt() {
	forged := registry.Setting[int]{Name: forgedKey}
	for name, write := range map[string]func() error{
		"SetConfig": func() error { _, err := s.reg.SetConfig(s.ctx, "new", "secret"); return err },
		"Update": func() error {
			return s.reg.Update(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.SetConfig(ctx, "new", "secret")
				return err
			})
		},
		"GetConfig": func() error { return s.reg.GetConfig(s.ctx, forgedKey, new(int)) },
		"View": func() error {
			return s.reg.View(s.ctx, func(ctx context.Context, tx *registry.Tx) error { return tx.GetConfig(ctx, forgedKey, new(int)) })
		},
		"ListConfig in a View": func() error {
			return s.reg.View(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
				entries, err := tx.ListConfig(ctx, forgedKey)
				if err != nil {
					return err
				}
				return entries[0].Decode(new(int))
			})
		},
		"Setting.Watch": func() error {
			for _, err := range forged.Watch(s.ctx, s.reg) {
				return err
			}
			return nil
		},
		"Setting.Modify": func() error {
			_, err := forged.Modify(s.ctx, s.reg, func(n int) (int, error) { return n + 1, nil })
			return err
		},
		"KeysetInfo":   func() error { _, err := s.reg.KeysetInfo(s.ctx); return err },
		"RotateKeyset": func() error { _, err := s.reg.RotateKeyset(s.ctx); return err },
		"Rewrap":       func() error { return s.reg.Rewrap(s.ctx, kekOf(7)) },
		"Rekey":        func() error { _, err := s.reg.Rekey(s.ctx, kekOf(7)); return err },
	} {
		s.Require().ErrorIs(write(), registry.ErrWrongKey, name)
	}
	_, err := s.reg.Verify(s.ctx)
	s.Require().ErrorContains(err, registry.ErrWrongKey.Error(), "in the report, or instead of one")
	raw := sqliteOpen(s.T(), s.path)
	var n int
	s.Require().NoError(raw.QueryRow("SELECT count(*) FROM config WHERE key = 'new'").Scan(&n))
	s.Require().NoError(raw.Close())
	s.Require().Zero(n)
}

// forgedKey is of an entry that an attacker makes with a key that is known.
const forgedKey = "forged"

// forge puts a row of the keyset back, and an entry that its keys open.
func (s *rollbackSuite) forge(row db.GetKeysetRow, handle *keyset.Handle) {
	value, err := handle.Encrypt([]byte("666"), envelope.AppendValue(nil, row.RegistryID, "config", forgedKey, handle.Primary()))
	s.Require().NoError(err)
	text, err := envelope.Seal(value)
	s.Require().NoError(err)
	s.attacker.forge(s.path, putBack(row), "DELETE FROM config WHERE key = '"+forgedKey+"'",
		"INSERT INTO config (key, value, updated_at) VALUES ('"+forgedKey+"', '"+text+"', '2026-01-01T00:00:00.000000000+00:00')")
}

func (s *rollbackSuite) TestAnOlderGenerationIsNotTaken() {
	old, leaked := s.attacker.unwrapped(s.path, kekOf(1))
	s.rotate(s.reg)
	s.forge(old, leaked)
	s.refusesIt()
	s.holds(s.reg, 3) // with the keys that it has
}

// Nor one of before a Rekey, whose KEK the attacker has.
func (s *rollbackSuite) TestWhatWasRevokedIsNotTaken() {
	old, leaked := s.attacker.unwrapped(s.path, kekOf(1))
	_, err := s.reg.Rekey(s.ctx, kekOf(2))
	s.Require().NoError(err)
	s.forge(old, leaked)
	s.refusesIt()
	s.holds(s.reg, 3) // with the keys that it has
}

// What only a View showed was seen as well.
func (s *rollbackSuite) TestAnOlderGenerationIsNotTakenAfterAViewOfANewerOne() {
	old, leaked := s.attacker.unwrapped(s.path, kekOf(1))
	other := s.open()
	s.rotate(other)
	s.Require().NoError(other.Close())
	s.Require().NoError(s.reg.View(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
		return tx.GetConfig(ctx, numberKey(0), new(int))
	}))
	s.forge(old, leaked)
	s.refusesIt()
	s.holds(s.reg, 3) // with the keys that it has
}

// A handle that slept is told of the newest generation by a value; what it saw then counts.
func (s *rollbackSuite) TestAnOlderGenerationIsNotTakenByWhoFollowedEither() {
	old, leaked := s.attacker.unwrapped(s.path, kekOf(1))
	other := s.open()
	s.rotate(other)
	s.Require().NoError(other.Close())
	s.holds(s.reg, 3)
	s.forge(old, leaked)
	s.refusesIt()
}

// Copies of one file go on by themselves: a keyset of the same generation is another one.
func (s *rollbackSuite) TestAnotherKeysetOfTheSameGenerationIsNotTaken() {
	twin := filepath.Join(s.T().TempDir(), "twin.db")
	s.Require().NoError(s.reg.Backup(s.ctx, twin))
	s.rotate(s.reg)
	reg, err := openKEK1(s.ctx, twin)
	s.Require().NoError(err)
	s.rotate(reg)
	s.Require().NoError(reg.Close())
	row, leaked := s.attacker.unwrapped(twin, kekOf(1))
	s.Require().Equal(s.row(s.path).Generation, row.Generation)
	s.forge(row, leaked)
	s.refusesIt()
}

// All of another registry, id, keyset and values, under the same KEK.
func (s *rollbackSuite) TestAnotherRegistrysContentIsNotTaken() {
	path := filepath.Join(s.T().TempDir(), "other.db")
	other, err := openKEK1(s.ctx, path)
	s.Require().NoError(err)
	_, err = other.SetConfig(s.ctx, numberKey(0), 666)
	s.Require().NoError(err)
	for range 3 { // of a higher generation
		s.rotate(other)
	}
	s.Require().NoError(other.Close())
	row, leaked := s.attacker.unwrapped(path, kekOf(1))
	s.attacker.forge(s.path, fmt.Sprintf("UPDATE registry SET id = '%s'", row.RegistryID))
	s.forge(row, leaked)
	s.refusesIt()
}

// What another process does in order is followed, as ever.
func (s *rollbackSuite) TestNewerGenerationsAreTaken() {
	other := s.open()
	for range 3 {
		s.rotate(other)
		_, err := s.reg.SetConfig(s.ctx, numberKey(1), 1)
		s.Require().NoError(err)
		s.Require().Equal(s.info(other), s.info(s.reg))
	}
	s.Require().NoError(other.Close())
	s.holds(s.reg, 3)
}

func (s *rollbackSuite) TestARegistryKeepsItsID() {
	id := s.reg.ID()
	s.Require().Regexp("^[0-9a-f]{32}$", id)
	s.Require().Equal(s.row(s.path).RegistryID, id)
	s.reopen(registry.WithRegistryID(id))
	s.Require().Equal(id, s.reg.ID())
	_, err := s.reg.Rekey(s.ctx, kekOf(2))
	s.Require().NoError(err)
	s.Require().Equal(id, s.reg.ID())
	locked, err := registry.Open(s.ctx, s.path, registry.WithRegistryID(id), registry.WithReadOnly())
	s.Require().NoError(err)
	s.Require().Equal(id, locked.ID())
	s.Require().NoError(locked.Close())
	s.Require().NoError(registry.Decrypt(s.ctx, s.path, kekOf(2), registry.WithRegistryID(id)))
	_, err = registry.Encrypt(s.ctx, s.path, kekOf(1), registry.WithRegistryID(id))
	s.Require().NoError(err)
	memory, err := registry.Open(s.ctx, registry.InMemory)
	s.Require().NoError(err)
	s.Require().Regexp("^[0-9a-f]{32}$", memory.ID())
	s.Require().NotEqual(id, memory.ID())
	s.Require().NoError(memory.Close())
}

func (s *rollbackSuite) TestAnotherRegistryIsRefusedByItsID() {
	another := "0123456789abcdef0123456789abcdef"
	_, err := openKEK1(s.ctx, s.path, registry.WithRegistryID(another))
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.Require().ErrorIs(err, registry.ErrReplaced)
	_, err = registry.Open(s.ctx, s.path, registry.WithRegistryID(another))
	s.Require().ErrorIs(err, registry.ErrReplaced)
	s.Require().NotErrorIs(err, registry.ErrWrongKey)
	s.Require().ErrorIs(registry.Decrypt(s.ctx, s.path, kekOf(1), registry.WithRegistryID(another)), registry.ErrReplaced)

	dir := s.T().TempDir()
	missing, empty, oxide := filepath.Join(dir, "missing.db"), filepath.Join(dir, "empty.db"), filepath.Join(dir, "oxide.db")
	_, err = registry.Open(s.ctx, missing, registry.WithRegistryID(another))
	s.Require().ErrorIs(err, fs.ErrNotExist)
	s.Require().NoFileExists(missing)
	s.Require().NoError(os.WriteFile(empty, nil, 0o600))
	_, err = openKEK1(s.ctx, empty, registry.WithRegistryID(another))
	s.Require().ErrorIs(err, registry.ErrReplaced)
	s.Require().NoError(os.WriteFile(oxide, oxideEncryptedBytes, 0o600))
	_, err = registry.Encrypt(s.ctx, oxide, kekOf(1), registry.WithRegistryID(another), registry.WithOxideKey(modeOxideKey))
	s.Require().ErrorIs(err, registry.ErrReplaced)
	_, err = registry.Open(s.ctx, registry.InMemory, registry.WithRegistryID(another))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	for _, id := range []string{"", "0", another[1:], another + "00", "0123456789ABCDEF0123456789abcdef", another[:31] + "g", another[:31] + "\n"} {
		_, err = openKEK1(s.ctx, s.path, registry.WithRegistryID(id))
		s.Require().ErrorIs(err, registry.ErrInvalid, "%q", id)
	}
}

// A file from which somebody took the id is no registry that this program would give one.
func (s *rollbackSuite) TestARegistryWithoutAnIDIsDamaged() {
	s.attacker.forge(s.path, "UPDATE registry SET id = ''")
	_, err := openKEK1(s.ctx, s.path)
	s.Require().ErrorIs(err, registry.ErrCorrupt)
	_, err = registry.Open(s.ctx, s.path)
	s.Require().ErrorIs(err, registry.ErrCorrupt)
}
