package tests

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

func TestScrub(t *testing.T) { suite.Run(t, &scrubSuite{}) }

// scrubSuite is about the plaintext that an encryption leaves behind until it can rewrite the file.
type scrubSuite struct{ rekeySuite }

const shortWait = 20 * time.Millisecond

func (s *scrubSuite) SetupTest() {
	s.ctx = s.T().Context()
	s.path = filepath.Join(s.T().TempDir(), "registry.db")
	reg, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	for _, key := range []string{"kept", "overwritten", "deleted"} {
		_, err = reg.SetConfig(s.ctx, key, canary)
		s.Require().NoError(err)
	}
	_, err = reg.SetConfig(s.ctx, "overwritten", 1)
	s.Require().NoError(err)
	_, err = reg.DeleteConfig(s.ctx, "deleted")
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
}

// due reports whether the file's mark says that plaintext may be left.
func (s *scrubSuite) due() bool {
	return sqliteRows(s.T(), s.path, "SELECT scrub FROM keyset")[0][0] == `"1"`
}

func (s *scrubSuite) TestNothingIsLeftOfWhatWasKeptOverwrittenAndDeleted() {
	_, err := registry.Encrypt(s.ctx, s.path, kekOf(1))
	s.Require().NoError(err)
	s.Require().False(s.due())
	s.holdsNoCanary(s.path)
	reg, err := openKEK1(s.ctx, s.path)
	s.Require().NoError(err)
	kept, err := registry.Get[string](s.ctx, reg, "kept")
	s.Require().NoError(err)
	s.Require().Equal(canary, kept)
	s.holdsNoCanary(s.path)
	closeVerified(s.T(), reg)
	s.holdsNoCanary(s.path)
}

// A reader that still needs the WAL keeps plaintext in the file, and the pragmas that should remove it report no error.
func (s *scrubSuite) TestAReaderThatHoldsItOffIsNotPassedOver() {
	reader, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	err = reader.View(s.ctx, func(context.Context, *registry.Tx) error {
		report, err := registry.Encrypt(s.ctx, s.path, kekOf(1), registry.WithLockTimeout(shortWait))
		s.Require().ErrorIs(err, registry.ErrBusy)
		s.Require().EqualValues(2, report.Entries, "they are encrypted all the same")
		s.Require().True(s.due())
		_, err = registry.OpenEncrypted(s.ctx, s.path, kekOf(1), registry.WithLockTimeout(shortWait))
		s.Require().ErrorIs(err, registry.ErrBusy)
		_, err = registry.Encrypt(s.ctx, s.path, kekOf(1), registry.WithLockTimeout(shortWait))
		s.Require().ErrorIs(err, registry.ErrBusy)
		reading, err := registry.OpenEncrypted(s.ctx, s.path, kekOf(1), registry.WithReadOnly())
		s.Require().NoError(err, "who only reads leaves it to a writer")
		s.Require().NoError(reading.Close())
		return nil
	})
	s.Require().NoError(err)
	s.Require().NoError(reader.Close())

	s.Run("a second call finishes it", func() {
		report, err := registry.Encrypt(s.ctx, s.path, kekOf(1))
		s.Require().NoError(err)
		s.Require().Zero(report.Entries)
		s.Require().False(s.due())
		s.holdsNoCanary(s.path)
	})
}

func (s *scrubSuite) TestOpeningFinishesIt() {
	reader, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	err = reader.View(s.ctx, func(context.Context, *registry.Tx) error {
		_, err := registry.Encrypt(s.ctx, s.path, kekOf(1), registry.WithLockTimeout(shortWait))
		s.Require().ErrorIs(err, registry.ErrBusy)
		return nil
	})
	s.Require().NoError(err)
	reg, err := openKEK1(s.ctx, s.path) // the reader is still there, and holds nothing off any more
	s.Require().NoError(err)
	s.Require().False(s.due())
	s.holdsNoCanary(s.path)
	s.Require().NoError(reader.Close())
	closeVerified(s.T(), reg)
}

// A registry that has no entries any more may hold what they were.
func (s *scrubSuite) TestAnEmptiedRegistryIsScrubbedWhenItBecomesEncrypted() {
	reg, err := registry.Open(s.ctx, s.path)
	s.Require().NoError(err)
	for _, key := range []string{"kept", "overwritten"} {
		_, err := reg.DeleteConfig(s.ctx, key)
		s.Require().NoError(err)
	}
	s.Require().NoError(reg.Close())
	reg, err = openKEK1(s.ctx, s.path)
	s.Require().NoError(err)
	s.Require().False(s.due())
	s.holdsNoCanary(s.path)
	closeVerified(s.T(), reg)
}

// A new file never held plaintext: opening it costs no rewriting.
func (s *scrubSuite) TestANewRegistryHasNothingToScrub() {
	s.path = filepath.Join(s.T().TempDir(), "new.db")
	keyed, err := openKEK1(s.ctx, s.path)
	s.Require().NoError(err)
	s.Require().False(s.due())
	closeVerified(s.T(), keyed)
}
