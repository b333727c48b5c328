package tests

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRotation(t *testing.T) { suite.Run(t, &rotationSuite{}) }

// rotationSuite is about keys that change, within one process.
type rotationSuite struct{ rekeySuite }

// stuck puts the value of another key under key: it can no longer be opened.
func (s *rotationSuite) stuck(key, other string) {
	withoutGuards(s.T(), s.ctx, sqliteOpen(s.T(), s.path), silentValueGuards,
		fmt.Sprintf("UPDATE config SET value = (SELECT value FROM config WHERE key = '%s') WHERE key = '%s'", other, key))
}

func (s *rotationSuite) TestEveryValueIsUnderTheNewKeyAndTheOldOneIsGone() {
	s.fill(s.reg, 1000)
	before := s.info(s.reg)
	s.Require().EqualValues(1, before.Generation)
	rows := s.rows(s.reg)

	report := s.rotate(s.reg)
	after := s.info(s.reg)
	s.Require().Equal(registry.RotateReport{
		Generation: 3, Primary: after.Primary, Reencrypted: 1000, Retired: []uint32{before.Primary},
	}, report)
	s.Require().EqualValues(3, after.Generation)
	s.Require().Len(after.Keys, 1)
	s.Require().NotEqual(before.Primary, after.Primary)
	s.Require().Equal(map[string]int{fmt.Sprintf("enc:v1:%08x:", after.Primary): 1000}, s.keys(s.reg))
	s.holds(s.reg, 1000)

	again := s.rows(s.reg)
	s.Require().Equal(rows.log, again.log, "re-encryption is no change")
	for at, held := range rows.held {
		s.Require().Equal(held.revision, again.held[at].revision)
		s.Require().NotEqual(held.text, again.held[at].text)
	}
	s.reopen()
	s.holds(s.reg, 1000)
}

func (s *rotationSuite) TestAnEmptyRegistryIsRotatedToo() {
	before := s.info(s.reg)
	report := s.rotate(s.reg)
	s.Require().Equal([]uint32{before.Primary}, report.Retired)
	s.Require().Zero(report.Reencrypted)
}

func (s *rotationSuite) TestTheAlgorithmIsTheOneThatWasAskedFor() {
	s.fill(s.reg, 3)
	s.Require().Equal(keyset.XChaCha20Poly1305, s.info(s.reg).Keys[0].Template)
	s.rotate(s.reg, registry.RotateTo(keyset.AES256GCM))
	s.reopen()
	s.rotate(s.reg)
	s.Require().Equal(keyset.AES256GCM, s.info(s.reg).Keys[0].Template, "what nobody changes stays")
	s.reopen(registry.WithKeyTemplate(keyset.XAES256GCM))
	for _, c := range []struct {
		opts []registry.RotateOption
		want keyset.Template
	}{
		{nil, keyset.XAES256GCM},
		{[]registry.RotateOption{registry.RotateTo(keyset.AES256GCM)}, keyset.AES256GCM},
		{[]registry.RotateOption{registry.RotateTo(keyset.XChaCha20Poly1305)}, keyset.XChaCha20Poly1305},
	} {
		s.rotate(s.reg, c.opts...)
		s.Require().Equal(c.want, s.info(s.reg).Keys[0].Template)
		s.holds(s.reg, 3)
	}
}

func (s *rotationSuite) TestBadOptionsChangeNothing() {
	before := s.info(s.reg)
	for _, opt := range []registry.RotateOption{nil, registry.RotateTo(-1), registry.RotateTo(99)} {
		_, err := s.reg.RotateKeyset(s.ctx, opt)
		s.Require().ErrorIs(err, registry.ErrInvalid)
	}
	s.Require().ErrorIs(s.reg.Rewrap(s.ctx, keyset.KEK{}), registry.ErrInvalid)
	s.Require().ErrorIs(s.reg.Rewrap(s.ctx, keyset.Passphrase("")), registry.ErrInvalid)
	s.Require().Equal(before, s.info(s.reg))
}

func (s *rotationSuite) TestWhoHasNoKeysetToRotateIsToldWhy() {
	calls := func(reg *registry.Registry, want error) {
		_, err := reg.RotateKeyset(s.ctx)
		s.Require().ErrorIs(err, want)
		s.Require().ErrorIs(reg.Rewrap(s.ctx, kekOf(2)), want)
	}
	keyless, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	calls(keyless, registry.ErrEncrypted)
	_, err = keyless.KeysetInfo(s.ctx)
	s.Require().ErrorIs(err, registry.ErrEncrypted)
	s.Require().NoError(keyless.Close())

	reading := s.open(registry.WithReadOnly())
	calls(reading, registry.ErrReadOnly)
	s.Require().Equal(s.info(s.reg), s.info(reading))
	s.Require().NoError(reading.Close())
	calls(reading, registry.ErrClosed)

	plain, err := registry.Open(s.ctx, registry.InMemory)
	s.Require().NoError(err)
	calls(plain, registry.ErrNotEncrypted)
	_, err = plain.KeysetInfo(s.ctx)
	s.Require().ErrorIs(err, registry.ErrNotEncrypted)
	s.Require().NoError(plain.Close())

	s.Require().NoError(s.reg.View(s.ctx, func(ctx context.Context, _ *registry.Tx) error {
		_, err := s.reg.RotateKeyset(ctx)
		s.Require().ErrorIs(err, registry.ErrNested)
		s.Require().ErrorIs(s.reg.Rewrap(ctx, kekOf(2)), registry.ErrNested)
		return nil
	}))
}

func (s *rotationSuite) TestAViewThatIsOlderThanTheRotationReadsOn() {
	s.fill(s.reg, 300)
	other := s.open()
	defer other.Close()
	s.Require().NoError(other.View(s.ctx, func(ctx context.Context, theirs *registry.Tx) error {
		return s.reg.View(s.ctx, func(ctx context.Context, ours *registry.Tx) error {
			for range 2 {
				s.rotate(s.reg)
				s.holds(ours, 300)
				s.holds(theirs, 300)
				s.holds(s.reg, 300)
				s.holds(other, 300)
			}
			return nil
		})
	}))
}

// An entry that was listed is decoded whenever its reader likes.
func (s *rotationSuite) TestAnEntryDecodesAfterItsKeyWasRetired() {
	s.fill(s.reg, 3)
	entries, err := s.reg.ListConfig(s.ctx, "")
	s.Require().NoError(err)
	s.rotate(s.reg)
	s.rotate(s.reg)
	var n int
	s.Require().NoError(entries[2].Decode(&n))
	s.Require().Equal(2, n)
}

func (s *rotationSuite) TestAValueThatCannotBeOpenedIsNamedAndKeepsItsKey() {
	s.fill(s.reg, 10)
	old := s.info(s.reg).Primary
	s.stuck(numberKey(3), numberKey(4))
	for range 2 {
		before := s.info(s.reg).Primary
		report, err := s.reg.RotateKeyset(s.ctx)
		s.Require().ErrorIs(err, registry.ErrTampered)
		s.Require().ErrorContains(err, fmt.Sprintf("%q", numberKey(3)))
		s.Require().Equal([]string{numberKey(3)}, report.Unopened)
		s.Require().Equal([]uint32{old}, report.Kept)
		s.Require().EqualValues(9, report.Reencrypted)
		s.Require().NotEqual(before, report.Primary)
		s.Require().Len(s.info(s.reg).Keys, 2)
	}
	_, err := s.reg.SetConfig(s.ctx, numberKey(3), 3)
	s.Require().NoError(err)
	report := s.rotate(s.reg)
	s.Require().Contains(report.Retired, old)
	s.Require().Empty(report.Kept)
	s.holds(s.reg, 10)
}

func (s *rotationSuite) TestOneThatWasStoppedIsFinishedByTheNext() {
	var cancel context.CancelFunc
	stopAt := int64(-1)
	s.reopen(registry.WithProgress(func(done, total int64) {
		if stopAt >= 0 && done >= stopAt {
			cancel()
		}
	}))
	s.fill(s.reg, 10_000)
	for _, at := range []int64{0, 8000} {
		var ctx context.Context
		ctx, cancel = context.WithCancel(s.ctx)
		stopAt = at
		_, err := s.reg.RotateKeyset(ctx)
		s.Require().ErrorIs(err, context.Canceled)
		s.holds(s.reg, 10_000)
		s.Require().Len(s.info(s.reg).Keys, 2)
		primary := s.info(s.reg).Primary

		s.reopen(registry.WithProgress(func(int64, int64) {}))
		s.holds(s.reg, 10_000)
		report := s.rotate(s.reg)
		s.Require().NotEqual(primary, report.Primary, "it makes a key of its own")
		s.Require().Len(report.Retired, 2)
		s.Require().Len(s.keys(s.reg), 1)
		s.holds(s.reg, 10_000)
		s.reopen(registry.WithProgress(func(done, total int64) {
			if stopAt >= 0 && done >= stopAt {
				cancel()
			}
		}))
	}
}

func (s *rotationSuite) TestProgressGoesUpToTheTotal() {
	var told []string
	s.reopen(registry.WithProgress(func(done, total int64) { told = append(told, fmt.Sprint(done, "/", total)) }))
	s.fill(s.reg, 9000)
	s.rotate(s.reg)
	s.Require().Equal("4096/9000 8192/9000 9000/9000", strings.Join(told, " "))
}

// A log that is too short to tell what changed meanwhile is no reason to keep a key, or to go on for ever.
func (s *rotationSuite) TestAShortLogDoesNotMatter() {
	s.reopen(registry.WithLogLimit(1))
	s.fill(s.reg, 500)
	stop, ended := make(chan struct{}), make(chan error)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				ended <- nil
				return
			default:
			}
			if _, err := s.reg.SetConfig(s.ctx, "busy", i); err != nil {
				ended <- err
				return
			}
		}
	}()
	for range 3 {
		s.Require().Len(s.rotate(s.reg).Retired, 1)
	}
	close(stop)
	s.Require().NoError(<-ended)
	s.holds(s.reg, 500)
}

// The memory of a rotation is that of a few pages. Which of them are there at the moment of a look is chance, so that it
// takes many looks to see the most of it, with few entries as with many.
func (s *rotationSuite) TestMemoryDoesNotGrowWithTheNumberOfEntries() {
	measure := func(entries, rotations int) uint64 {
		peak := uint64(0)
		path := filepath.Join(s.T().TempDir(), "registry.db")
		reg, err := openKEK1(s.ctx, path, registry.WithProgress(func(int64, int64) {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}))
		s.Require().NoError(err)
		s.fill(reg, entries)
		for range rotations {
			s.rotate(reg)
		}
		s.Require().NoError(reg.Close())
		return peak
	}
	few, many := measure(20_000, 4), measure(80_000, 1)
	s.T().Logf("heap at its peak: %d KiB with 20,000 entries, %d KiB with 80,000", few>>10, many>>10)
	s.Require().Less(many, few+1<<20)
}
