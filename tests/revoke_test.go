package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/envelope"
	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRevocation(t *testing.T) { suite.Run(t, &revocationSuite{}) }

// revocationSuite is about Rekey: what was under a key that may be known is worth nothing afterwards.
type revocationSuite struct{ rekeySuite }

const revokedEntries = 300

func (s *revocationSuite) SetupTest() {
	s.rekeySuite.SetupTest()
	s.fill(s.reg, revokedEntries)
}

func (s *revocationSuite) rekey(reg *registry.Registry, kek keyset.KEK, opts ...registry.RekeyOption) registry.RekeyReport {
	report, err := reg.Rekey(s.ctx, kek, opts...)
	s.Require().NoError(err)
	return report
}

// row reads the keyset as the file has it.
func (s *revocationSuite) row() db.GetKeysetRow {
	raw := sqliteOpen(s.T(), s.path)
	defer raw.Close()
	row, err := db.New().GetKeyset(s.ctx, raw)
	s.Require().NoError(err)
	return row
}

// isOut requires that a registry that was opened before neither reads nor writes a value.
func (s *revocationSuite) isOut(reg *registry.Registry) {
	_, err := registry.Get[int](s.ctx, reg, numberKey(0))
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	_, err = reg.SetConfig(s.ctx, "of/the/former", 1)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	s.Require().ErrorIs(reg.Update(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, "of/the/former", 1)
		return err
	}), registry.ErrWrongKey)
	_, err = reg.RotateKeyset(s.ctx)
	s.Require().ErrorIs(err, registry.ErrWrongKey)
	_, err = reg.GetModule(s.ctx, "none")
	s.Require().ErrorIs(err, registry.ErrUnknownModule, "what is not encrypted is not concerned")
}

func (s *revocationSuite) TestEverythingIsUnderAFreshKeyAndAFreshKEK() {
	other := s.open()
	s.holds(other, revokedEntries)
	before, log := s.info(s.reg), s.rows(s.reg).log
	report := s.rekey(s.reg, kekOf(2), registry.RekeyTo(keyset.XAES256GCM))
	info := s.info(s.reg)
	s.Require().Equal(registry.RekeyReport{
		Generation: before.Generation + 1, Primary: info.Primary, Entries: revokedEntries, Scrubbed: true,
	}, report)
	s.Require().Equal([]keyset.Key{{ID: info.Primary, Primary: true, Status: "enabled", Template: keyset.XAES256GCM}}, info.Keys)
	s.Require().NotEqual(before.Primary, info.Primary)
	s.Require().Equal(map[string]int{envelope.Marker(info.Primary): revokedEntries}, s.keys(s.reg))
	s.Require().Equal(log, s.rows(s.reg).log, "it is no change")
	s.holds(s.reg, revokedEntries)
	s.isOut(other)
	s.Require().NoError(other.Close())
	_, err := openKEK1(s.ctx, s.path)
	s.Require().ErrorIs(err, registry.ErrWrongKey)

	_, err = s.reg.SetConfig(s.ctx, "after", 1)
	s.Require().NoError(err)
	s.rotate(s.reg) // with the new KEK
	reg, err := registry.OpenEncrypted(s.ctx, s.path, kekOf(2))
	s.Require().NoError(err)
	s.holds(reg, revokedEntries)
	closeVerified(s.T(), reg)
}

// Whoever had the old KEK, or saw any row of the keyset that there ever was, puts it back, with values of their own under its keys.
func (s *revocationSuite) TestNoRowOfTheKeysetThatIsPutBackOpens() {
	attacker := &attackSuite{dir: s.T().TempDir()}
	attacker.SetT(s.T())
	seen := []db.GetKeysetRow{s.row()}
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	seen = append(seen, s.row())
	s.rotate(s.reg)
	seen = append(seen, s.row())
	handles := []*keyset.Handle{}
	for i, row := range seen {
		handles = append(handles, attacker.opened(row, kekOf(byte(1+min(i, 1)))))
	}
	control := filepath.Join(s.T().TempDir(), "control.db")
	s.Require().NoError(s.reg.Backup(s.ctx, control))
	s.rekey(s.reg, kekOf(3))
	s.Require().NoError(s.reg.Close())
	s.reg = nil
	for i, row := range seen {
		handle := handles[i]
		value, err := handle.Encrypt([]byte("666"), envelope.AppendValue(nil, row.RegistryID, "config", numberKey(0), handle.Primary()))
		s.Require().NoError(err)
		text, err := envelope.Seal(value)
		s.Require().NoError(err)
		attacker.forge(s.path, putBack(row), "UPDATE config SET value = '"+text+"' WHERE key = '"+numberKey(0)+"'")
		_, err = registry.OpenEncrypted(s.ctx, s.path, kekOf(3))
		s.Require().ErrorIs(err, registry.ErrWrongKey, "generation %d", row.Generation)

		// Without a Rekey it works, so the attack is one.
		kek := kekOf(byte(1 + min(i, 1)))
		attacker.forge(control, putBack(row), "UPDATE config SET value = '"+text+"' WHERE key = '"+numberKey(0)+"'")
		reg, err := registry.OpenEncrypted(s.ctx, control, kek)
		s.Require().NoError(err)
		n, err := registry.Get[int](s.ctx, reg, numberKey(0))
		s.Require().NoError(err)
		s.Require().Equal(666, n)
		s.Require().NoError(reg.Close())
	}
}

// What was under the former keys is searched for in the files, byte for byte, also while the registry is open.
func (s *revocationSuite) TestNothingOfTheFormerKeysIsLeft() {
	former := [][]byte{s.row().Wrapped}
	for i := range revokedEntries {
		former = append(former, []byte(s.stored(s.reg, numberKey(i))))
	}
	long := strings.Repeat("of many pages ", 5000)
	_, err := s.reg.SetConfig(s.ctx, "long", long)
	s.Require().NoError(err)
	former = append(former, []byte(s.stored(s.reg, "long"))[:200])
	_, err = s.reg.SetConfig(s.ctx, "long", "short")
	s.Require().NoError(err)
	left := func() (found int) {
		data := s.files()
		for _, text := range former {
			if bytes.Contains(data, text) {
				found++
			}
		}
		return found
	}
	s.Require().Positive(left())
	s.Require().True(s.rekey(s.reg, kekOf(2)).Scrubbed)
	s.Require().Zero(left())

	former = [][]byte{s.row().Wrapped, []byte(s.stored(s.reg, numberKey(0)))}
	err = s.reg.View(s.ctx, func(ctx context.Context, tx *registry.Tx) error { // a reader that stays
		s.Require().False(s.rekey(s.reg, kekOf(3)).Scrubbed)
		s.Require().Positive(left())
		n, err := registry.Get[int](ctx, tx, numberKey(7))
		s.Require().NoError(err, "its snapshot is older, and reads on")
		s.Require().Equal(7, n)
		return nil
	})
	s.Require().NoError(err)
	reg, err := registry.OpenEncrypted(s.ctx, s.path, kekOf(3))
	s.Require().NoError(err, "openings do not wait for what is left")
	s.Require().NoError(reg.Close())
	s.Require().NoError(s.reg.Close())
	s.reg = nil
	s.Require().Zero(left())
}

// SQLite leaves copies of rows that it moved in the gaps of its pages, where secure_delete does not reach. Compact does.
func (s *revocationSuite) TestNothingOfTheFormerKeysIsLeftAfterCompact() {
	random := s.random()
	former := map[string]bool{}
	for range 5 {
		s.Require().NoError(s.reg.Update(s.ctx, func(ctx context.Context, tx *registry.Tx) error {
			for range 400 {
				key := numberKey(random.IntN(200))
				if random.IntN(4) == 0 {
					if _, err := tx.DeleteConfig(ctx, key); err != nil {
						return err
					}
					continue
				}
				if _, err := tx.SetConfig(ctx, key, strings.Repeat("x", random.IntN(3000))); err != nil {
					return err
				}
				entries, err := tx.QueryContext(ctx, "SELECT substr(value, 1, 60) FROM config WHERE key = ?", key)
				if err != nil {
					return err
				}
				for entries.Next() {
					var text string
					if err := entries.Scan(&text); err != nil {
						return err
					}
					former[text] = true
				}
				if err := entries.Close(); err != nil {
					return err
				}
			}
			return nil
		}))
	}
	s.Require().True(s.rekey(s.reg, kekOf(2)).Scrubbed)
	_, err := s.reg.Compact(s.ctx)
	s.Require().NoError(err)
	data := s.files()
	for text := range former {
		s.Require().False(bytes.Contains(data, []byte(text)))
	}
}

// Routine changes clean up as well, if nobody reads at that moment.
func (s *revocationSuite) TestFormerRowsOfTheKeysetDoNotStayInTheWAL() {
	rows := [][]byte{s.row().Wrapped}
	s.Require().NoError(s.reg.Rewrap(s.ctx, kekOf(2)))
	rows = append(rows, s.row().Wrapped)
	s.rotate(s.reg)
	for _, row := range rows {
		s.Require().False(bytes.Contains(s.files(), row))
	}
}

// files reads what FILE and FILE-wal hold. Another process reads: closing a second descriptor would drop this one's locks.
func (s *revocationSuite) files() []byte {
	files := []string{s.path}
	if _, err := os.Lstat(s.path + "-wal"); err == nil {
		files = append(files, s.path+"-wal")
	}
	data, err := exec.CommandContext(s.ctx, program(s.T(), "cat"), files...).Output()
	s.Require().NoError(err)
	return data
}

// putBack returns the statement that puts a row of the keyset back.
func putBack(row db.GetKeysetRow) string {
	return fmt.Sprintf("UPDATE keyset SET generation = %d, marker = '%s', kek = '%s', kek_params = '%s', wrapped = x'%x'",
		row.Generation, row.Marker, row.KEK, row.KEKParams, row.Wrapped)
}

// The same KEK would still open what its former holder puts back, whatever salt it has now.
func (s *revocationSuite) TestTheSameKEKIsNoFreshOne() {
	before := s.row()
	_, err := s.reg.Rekey(s.ctx, kekOf(1))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().Equal(before, s.row())
	service, err := keyset.New(keyset.XChaCha20Poly1305)
	s.Require().NoError(err)
	for _, kek := range []keyset.KEK{cheapPassphrase("again"), keyset.AEAD("kms", service)} {
		s.rekey(s.reg, kek)
		_, err := s.reg.Rekey(s.ctx, kek)
		s.Require().ErrorIs(err, registry.ErrInvalid, kek)
		s.holds(s.reg, revokedEntries)
	}
	s.rekey(s.reg, keyset.AEAD("kms2", service)) // another name: the old row does not open under it
	s.rekey(s.reg, cheapPassphrase("again and again"))
}

func (s *revocationSuite) TestAValueThatCannotBeOpenedIsNamedAndNothingChanges() {
	attacker := &attackSuite{dir: s.T().TempDir()}
	attacker.SetT(s.T())
	attacker.plant(s.path, numberKey(7), s.stored(s.reg, numberKey(8)))
	before, rows := s.row(), s.rows(s.reg)
	_, err := s.reg.Rekey(s.ctx, kekOf(2))
	s.Require().ErrorIs(err, registry.ErrTampered)
	s.Require().ErrorContains(err, numberKey(7))
	s.Require().NotErrorIs(err, registry.ErrWrongKey)
	s.Require().Equal(before, s.row())
	s.Require().Equal(rows, s.rows(s.reg))
	_, err = s.reg.SetConfig(s.ctx, numberKey(7), 7)
	s.Require().NoError(err)
	s.Require().Equal(int64(revokedEntries), s.rekey(s.reg, kekOf(2)).Entries)
	s.holds(s.reg, revokedEntries)
}

func (s *revocationSuite) TestItIsRefusedWhereThereIsNothingToRekey() {
	for name, kek := range map[string]keyset.KEK{"zero": {}, "empty": keyset.Passphrase(""), "short": keyset.RawKey([]byte("short"))} {
		_, err := s.reg.Rekey(s.ctx, kek)
		s.Require().ErrorIs(err, registry.ErrInvalid, name)
	}
	_, err := s.reg.Rekey(s.ctx, kekOf(2), nil)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	_, err = s.reg.Rekey(s.ctx, kekOf(2), registry.RekeyTo(99))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	for _, c := range []struct {
		open   func() (*registry.Registry, error)
		reason error
	}{
		{func() (*registry.Registry, error) { return registry.Open(s.ctx, s.path) }, registry.ErrEncrypted},
		{func() (*registry.Registry, error) { return openKEK1(s.ctx, s.path, registry.WithReadOnly()) }, registry.ErrReadOnly},
		{func() (*registry.Registry, error) { return registry.Open(s.ctx, registry.InMemory) }, registry.ErrNotEncrypted},
	} {
		reg, err := c.open()
		s.Require().NoError(err)
		_, err = reg.Rekey(s.ctx, kekOf(2))
		s.Require().ErrorIs(err, c.reason)
		s.Require().NoError(reg.Close())
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err = s.reg.Rekey(ctx, kekOf(2))
	s.Require().ErrorIs(err, context.Canceled)
	s.holds(s.reg, revokedEntries)
}

func (s *revocationSuite) TestAContextThatEndsInItsTransactionUndoesIt() {
	ctx, cancel := context.WithCancel(s.ctx)
	s.reopen(registry.WithProgress(func(int64, int64) { cancel() }))
	s.fill(s.reg, 10_000) // more than a page
	before := s.row()
	_, err := s.reg.Rekey(ctx, kekOf(2))
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().Equal(before, s.row())
	s.holds(s.reg, 10_000)
}

// Writers of the same registry wait, and go on under the new key.
func (s *revocationSuite) TestWritersWaitAndGoOn() {
	for n := byte(2); n < 6; n++ {
		end := s.writing(s.reg)
		s.rekey(s.reg, kekOf(n))
		s.Require().Positive(end())
		s.Require().Len(s.keys(s.reg), 1)
	}
}

// writing writes entries until end is called, which returns how many.
func (s *revocationSuite) writing(reg *registry.Registry) (end func() int) {
	stop, written := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for ; ; n++ {
			select {
			case <-stop:
				written <- n
				return
			default:
			}
			if _, err := reg.SetConfig(s.ctx, "written", n); err != nil {
				s.T().Error(err)
			}
		}
	}()
	return func() int { close(stop); return <-written }
}

func (s *revocationSuite) TestItIsRekeyedInMemoryToo() {
	reg, err := openKEK1(s.ctx, registry.InMemory)
	s.Require().NoError(err)
	s.fill(reg, 10)
	s.Require().True(s.rekey(reg, kekOf(2)).Scrubbed)
	s.holds(reg, 10)
	closeVerified(s.T(), reg)
}
