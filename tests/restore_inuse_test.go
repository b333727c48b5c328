package tests

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/internal/stage"
	"github.com/oxide-k/stateregistry/registry"
)

func TestRestoreOfAFileInUse(t *testing.T) { suite.Run(t, &usedRestoreSuite{}) }

// usedRestoreSuite is about a file that somebody has open where a backup is to be restored.
type usedRestoreSuite struct {
	suite.Suite
	dir, path, backup string
}

func (s *usedRestoreSuite) SetupTest() {
	s.dir = s.T().TempDir()
	s.path, s.backup = filepath.Join(s.dir, "x.db"), filepath.Join(s.T().TempDir(), "backup.db")
	reg := s.open()
	s.Require().NoError(reg.Backup(s.T().Context(), s.backup))
	s.Require().NoError(reg.Close())
}

func (s *usedRestoreSuite) open(opts ...registry.Option) *registry.Registry {
	reg, err := registry.Open(s.T().Context(), s.path, opts...)
	s.Require().NoError(err)
	return reg
}

func (s *usedRestoreSuite) restore(opts ...registry.RestoreOption) error {
	_, err := registry.Restore(s.T().Context(), s.backup, s.path, opts...)
	return err
}

// requireBusy requires that a restore is refused, and leaves nothing behind.
func (s *usedRestoreSuite) requireBusy(what string, opts ...registry.RestoreOption) {
	before := names(s.T(), s.dir)
	err := s.restore(opts...)
	s.Require().ErrorIs(err, registry.ErrBusy, what)
	s.Require().ErrorContains(err, "close the registry everywhere", what)
	s.Require().Equal(before, names(s.T(), s.dir), what)
}

// rollbackMode makes a file of the backup that nobody ever opened for writing: whoever reads it holds no lock in between.
func (s *usedRestoreSuite) rollbackMode() { copyFile(s.T(), s.backup, s.path) }

// wreck damages the file so that SQLite takes it for none.
func (s *usedRestoreSuite) wreck() {
	s.Require().NoError(os.WriteFile(s.path, []byte(strings.Repeat("wreck", 4000)), 0o600))
}

func (s *usedRestoreSuite) TestByThisProcess() {
	writer := s.open()
	s.requireBusy("a writer that does nothing")
	_, err := writer.SetConfig(s.T().Context(), "a", 1)
	s.Require().NoError(err)
	s.requireBusy("a writer")
	reader := s.open(registry.WithReadOnly())
	s.Require().NoError(writer.Close())
	s.requireBusy("a reader")
	_, err = registry.Get[int](s.T().Context(), reader, "a")
	s.Require().NoError(err, "it goes on")
	s.Require().NoError(reader.Close())
	s.Require().NoError(s.restore())

	s.rollbackMode()
	reader = s.open(registry.WithReadOnly())
	s.requireBusy("a reader that holds no lock")
	s.Require().NoError(reader.Close())
	s.Require().NoError(s.restore())

	writer = s.open()
	s.wreck()
	s.requireBusy("a writer, of a file that was damaged since", registry.WithRevisionAbove(0))
	_ = writer.Close()
	s.Require().NoError(s.restore(registry.WithRevisionAbove(0)))
	s.Require().NoError(s.open().Close())
}

func (s *usedRestoreSuite) TestByAnotherProcess() {
	hold := func(how string) *child {
		c := startRole(s.T(), "hold", s.path, how)
		s.Require().Equal("ready", c.hear())
		return c
	}
	for _, how := range []string{"write", "read", "locked"} {
		c := hold(how)
		s.requireBusy(how)
		c.kill()
	}
	s.Require().NoError(s.restore(), "a crash leaves no lock")
	if runtime.GOOS != "linux" {
		s.T().Skip("what follows can be told on Linux only")
	}
	s.rollbackMode()
	c := hold("read")
	s.requireBusy("a reader that holds no lock")
	c.kill()
	s.Require().NoError(s.restore())

	c = hold("write")
	s.wreck()
	s.requireBusy("a writer, of a file that was damaged since", registry.WithRevisionAbove(0))
	c.kill()
	s.Require().NoError(s.restore(registry.WithRevisionAbove(0)))

	c = hold("write")
	s.Require().NoError(os.Remove(s.path))
	s.requireBusy("a writer, of a file that was removed since: its WAL is in use")
	c.kill()
	s.Require().NoError(s.restore(registry.WithRevisionAbove(0)))
	s.Require().NoError(s.open().Close())
}

// roleHold keeps a registry open until it is killed.
func roleHold(args []string) error {
	var opts []registry.Option
	if args[1] == "read" {
		opts = append(opts, registry.WithReadOnly())
	}
	reg, err := registry.Open(background, args[0], opts...)
	if err != nil {
		return err
	}
	wait := func() {
		saying("ready")
		hearing().Scan()
	}
	if args[1] == "locked" {
		return reg.Update(background, func(context.Context, *registry.Tx) error {
			wait()
			return nil
		})
	}
	wait()
	return nil
}

// Somebody opens the file when the restore has looked who does: it finds the marker, or the restore finds it.
func (s *usedRestoreSuite) TestAnOpeningMeanwhile() {
	s.rollbackMode()
	for _, at := range []string{
		"copy the backup", "place the marker", "keep the old file", "clear -journal", "clear -shm", "put the new file there",
		"sync the names", "remove the marker", "the end",
	} {
		met := false
		ctx := stage.With(s.T().Context(), func(name string) error {
			if name != at {
				return nil
			}
			met = true
			for _, opts := range [][]registry.Option{nil, {registry.WithReadOnly()}, {registry.WithLockTimeout(0)}} {
				limited, cancel := context.WithCancel(s.T().Context())
				reg, err := registry.Open(limited, s.path, append(opts, registry.WithLockTimeout(0))...)
				cancel()
				switch at {
				case "copy the backup", "place the marker":
					s.Require().ErrorIs(err, registry.ErrBusy, at)
				case "the end":
					s.Require().NoError(err, at)
					s.Require().NoError(reg.Close())
				default:
					s.Require().ErrorIs(err, registry.ErrRestoring, at)
				}
			}
			other, err := registry.Restore(s.T().Context(), s.backup, s.path)
			if at != "the end" {
				s.Require().ErrorIs(err, registry.ErrBusy, at)
				s.Require().Zero(other)
			}
			return nil
		})
		_, err := registry.Restore(ctx, s.backup, s.path)
		s.Require().NoError(err, at)
		s.Require().True(met, at)
		s.Require().NoError(s.open(registry.WithMustExist()).Close())
	}
}

// A file is made where none was, after the restore has looked: it is not overwritten, and the restore leaves it alone.
func (s *usedRestoreSuite) TestAFileThatIsMadeMeanwhileStays() {
	for _, at := range []string{"copy the backup", "place the marker", "put the new file there"} {
		path := filepath.Join(s.T().TempDir(), "x.db")
		ctx := stage.With(s.T().Context(), func(name string) error {
			if name != at {
				return nil
			}
			if name != "put the new file there" {
				reg, err := registry.Open(s.T().Context(), path)
				return errors.Join(err, reg.Close())
			}
			return os.WriteFile(path, []byte("another program's"), 0o600)
		})
		_, err := registry.Restore(ctx, s.backup, path)
		s.Require().Error(err, at)
		s.Require().NotErrorIs(err, registry.ErrRestoring, at)
		s.Require().NoFileExists(path+"-restoring", at)
		if at == "put the new file there" {
			s.Require().Equal(map[string]string{"": hashOf([]byte("another program's"))}, contents(s.T(), path), at)
		}
		if at != "put the new file there" {
			s.Require().ErrorIs(err, registry.ErrReplaced, at)
			reg, err := registry.Open(s.T().Context(), path, registry.WithMustExist())
			s.Require().NoError(err)
			closeVerified(s.T(), reg)
		}
	}
}
