package tests

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestBackup(t *testing.T) {
	runInModes(t, func() *backupSuite { return &backupSuite{} })
}

type backupSuite struct {
	modeSuite
	dir string // for the copies
}

func (s *backupSuite) SetupTest() {
	s.modeSuite.SetupTest()
	s.dir = s.T().TempDir()
}

func (s *backupSuite) copied(name string) string { return filepath.Join(s.dir, name) }

// openCopy opens a copy, read-only, since that is all that it takes, and verifies it.
func (s *backupSuite) openCopy(path string) *registry.Registry {
	s.T().Helper()
	reg, err := s.mode.open(s.T().Context(), path, registry.WithReadOnly())
	s.Require().NoError(err)
	s.T().Cleanup(func() { _ = reg.Close() })
	report, err := reg.Verify(s.T().Context())
	s.Require().NoError(err, "%v", report.Problems)
	return reg
}

func (s *backupSuite) TestACopyIsARegistryWithTheSameContent() {
	ctx := s.T().Context()
	fill(s.T(), s.reg)
	_, err := s.reg.DeleteConfig(ctx, "greeting") // revisions go on from a deletion too
	s.Require().NoError(err)
	path := s.copied("copy.db")
	s.Require().NoError(s.reg.Backup(ctx, path))
	s.Require().Equal([]string{"copy.db"}, names(s.T(), s.dir), "the copy is one file")
	requirePermissions(s.T(), 0o600, path)

	same := func(of registry.Reader) []any {
		modules, err := of.ListModules(ctx)
		s.Require().NoError(err)
		entries, err := of.ListConfig(ctx, "")
		s.Require().NoError(err)
		changes, err := of.Changes(ctx, 0, 100)
		s.Require().NoError(err)
		return []any{modules, plainEntries(s.T(), entries...), changes}
	}
	s.Require().Equal(same(s.reg), same(s.openCopy(path)))

	// The copy lives on by itself.
	reg, err := s.mode.open(ctx, path)
	s.Require().NoError(err)
	revision, err := reg.SetConfig(ctx, "greeting", 7)
	s.Require().NoError(err)
	s.Require().EqualValues(7, revision)
	s.Require().NoError(reg.Close())
	_, err = registry.Get[int](ctx, s.reg, "greeting")
	s.Require().ErrorIs(err, registry.ErrConfigNotFound)
}

// Two keys always change together, and the log names each change: a copy that mixed two moments would show.
func (s *backupSuite) TestACopyIsOneMomentWhileAWriterGoesOn() {
	ctx, stop := context.WithCancel(s.T().Context())
	var writer sync.WaitGroup
	wrote := make(chan struct{}, 1)
	writer.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
				for _, key := range []string{"a", "z"} {
					if _, err := tx.SetConfig(ctx, key, n); err != nil {
						return err
					}
				}
				_, err := tx.SetConfig(ctx, fmt.Sprint("n/", n), strings.Repeat("x", 500))
				return err
			})
			if !s.NoError(err) {
				break
			}
			select {
			case wrote <- struct{}{}:
			default:
			}
		}
		close(wrote)
	})
	for i := range 2 + s.mode.rounds(8) {
		_, more := <-wrote
		s.Require().True(more)
		before, err := s.reg.Revision(s.T().Context())
		s.Require().NoError(err)
		path := s.copied(fmt.Sprint(i, ".db"))
		s.Require().NoError(s.reg.Backup(s.T().Context(), path))
		after, err := s.reg.Revision(s.T().Context())
		s.Require().NoError(err)

		reg := s.openCopy(path)
		a, err := registry.Get[int](s.T().Context(), reg, "a")
		s.Require().NoError(err)
		z, err := registry.Get[int](s.T().Context(), reg, "z")
		s.Require().NoError(err)
		s.Require().Equal(a, z)
		rows, err := reg.ListConfig(s.T().Context(), "n/")
		s.Require().NoError(err)
		s.Require().Len(rows, a+1)
		revision, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		s.Require().EqualValues(3*(a+1), revision)
		s.Require().GreaterOrEqual(revision, before, "what was written before is in it")
		s.Require().LessOrEqual(revision, after)
	}
	stop()
	writer.Wait()
}

func (s *backupSuite) TestAnExistingFileIsNeverOverwritten() {
	ctx := s.T().Context()
	s.Require().NoError(os.WriteFile(s.copied("file"), []byte("precious"), 0o640))
	s.Require().NoError(os.WriteFile(s.copied("empty"), nil, 0o640))
	symlink(s.T(), "file", s.copied("link"))
	symlink(s.T(), "nowhere", s.copied("dangling"))
	before := folder(s.T(), s.dir)
	for name := range before {
		s.Require().ErrorIs(s.reg.Backup(ctx, s.copied(name)), fs.ErrExist, name)
		s.Require().Equal(before, folder(s.T(), s.dir), name)
	}
	if !s.mode.memory {
		s.Require().ErrorIs(s.reg.Backup(ctx, s.path), fs.ErrExist)
	}
	s.Require().NoError(s.reg.Backup(ctx, s.copied("copy.db")))
	again := folder(s.T(), s.dir)
	s.Require().ErrorIs(s.reg.Backup(ctx, s.copied("copy.db")), fs.ErrExist)
	s.Require().Equal(again, folder(s.T(), s.dir))
}

// SQLite would play the journal of an earlier database of that name into the copy.
func (s *backupSuite) TestAJournalThatWasLeftBehindIsInTheWay() {
	for _, suffix := range []string{"-wal", "-journal"} {
		s.Require().NoError(os.WriteFile(s.copied("x.db"+suffix), []byte("old"), 0o600))
		s.Require().ErrorIs(s.reg.Backup(s.T().Context(), s.copied("x.db")), fs.ErrExist, suffix)
		s.Require().Equal([]string{"x.db" + suffix}, names(s.T(), s.dir))
		s.Require().NoError(os.Remove(s.copied("x.db" + suffix)))
	}
}

func (s *backupSuite) TestTargetsThatMakeNoSense() {
	ctx := s.T().Context()
	for name, path := range map[string]string{
		"memory": registry.InMemory, "empty": "", "NUL": s.copied("a\x00b"), "folder": s.dir,
	} {
		s.Require().ErrorIs(s.reg.Backup(ctx, path), registry.ErrInvalid, name)
	}
	s.Require().ErrorIs(s.reg.Backup(ctx, s.copied("none/copy.db")), fs.ErrNotExist)
	s.Require().Empty(names(s.T(), s.dir))
}

func (s *backupSuite) TestOddPaths() {
	fill(s.T(), s.reg)
	for _, name := range oddNames {
		s.Require().NoError(s.reg.Backup(s.T().Context(), s.copied(name)), name)
		requireFilled(s.T(), s.openCopy(s.copied(name)))
		if s.mode.origin {
			continue
		}
		folder := s.copied("in " + name)
		s.Require().NoError(os.Mkdir(folder, 0o700))
		s.Require().NoError(s.reg.Backup(s.T().Context(), filepath.Join(folder, "x")), name)
		s.Require().Equal([]string{"x"}, names(s.T(), folder))
		requireFilled(s.T(), s.openCopy(filepath.Join(folder, "x")))
	}
}

func (s *backupSuite) TestARelativePath() {
	fill(s.T(), s.reg)
	s.T().Chdir(s.dir)
	if !canBeNamed("file:copy.db?x") {
		return
	}
	s.Require().NoError(s.reg.Backup(s.T().Context(), "file:copy.db?x"))
	s.Require().Equal([]string{"file:copy.db?x"}, names(s.T(), s.dir))
	requireFilled(s.T(), s.openCopy("file:copy.db?x"))
}

func (s *backupSuite) TestAContextThatEndsLeavesNothing() {
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	s.Require().ErrorIs(s.reg.Backup(ctx, s.copied("copy.db")), context.Canceled)
	s.Require().Empty(names(s.T(), s.dir))

	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range 64 {
			if _, err := tx.SetConfig(ctx, fmt.Sprint(i), strings.Repeat("x", 256<<10)); err != nil {
				return err
			}
		}
		return nil
	}))
	ctx, cancel = context.WithCancel(s.T().Context())
	done := make(chan error, 1)
	go func() { done <- s.reg.Backup(ctx, s.copied("copy.db")) }()
	s.Require().Eventually(func() bool { return len(names(s.T(), s.dir)) > 0 || len(done) > 0 },
		patience, time.Millisecond, "the backup does not begin")
	cancel()
	if err := <-done; err == nil { // it was faster
		s.Require().Equal([]string{"copy.db"}, names(s.T(), s.dir))
		s.openCopy(s.copied("copy.db"))
	} else {
		s.Require().ErrorIs(err, context.Canceled)
		s.Require().Empty(names(s.T(), s.dir))
	}
}

func (s *backupSuite) TestAClosedRegistryAndACallback() {
	err := s.reg.View(s.T().Context(), func(ctx context.Context, _ *registry.Tx) error {
		return s.reg.Backup(ctx, s.copied("copy.db"))
	})
	s.Require().ErrorIs(err, registry.ErrNested)
	reg, err := s.mode.open(s.T().Context(), s.mode.path(s.T()))
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	s.Require().ErrorIs(reg.Backup(s.T().Context(), s.copied("copy.db")), registry.ErrClosed)
	s.Require().Empty(names(s.T(), s.dir))
}
