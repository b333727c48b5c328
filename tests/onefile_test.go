package tests

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// One handle is one file, whatever becomes of the path by which it was opened.
func TestOneFile(t *testing.T) {
	runInFileModes(t, func() *oneFileSuite { return &oneFileSuite{} })
}

type oneFileSuite struct{ fileSuite }

// symlink makes one, or skips the test.
func (s *oneFileSuite) symlink(target, name string) {
	if err := os.Symlink(target, s.file(name)); err != nil {
		s.T().Skipf("no symlinks here: %v", err)
	}
}

// twoVersions makes a registry in each of two folders, and a symlink to the first.
func (s *oneFileSuite) twoVersions() {
	for i, version := range []string{"v1", "v2"} {
		s.Require().NoError(os.Mkdir(s.file(version), 0o700))
		reg, err := s.tryOpen(s.file(version + "/x.db"))
		s.Require().NoError(err)
		_, err = reg.SetConfig(s.T().Context(), "version", i+1)
		s.Require().NoError(err)
		s.Require().NoError(reg.Close())
	}
	s.symlink("v1", "current")
}

// A deployment switches the symlink to a folder while the program runs on.
func (s *oneFileSuite) TestASymlinkThatIsSwitchedLeadsAnOpenRegistryNowhereElse() {
	for _, opts := range [][]registry.Option{nil, {registry.WithReadCache(cacheBytes)}} {
		s.Run("", func() {
			ctx := s.T().Context()
			s.twoVersions()
			reg := s.open(filepath.Join(s.file("current"), "x.db"), opts...)
			s.Require().NoError(os.Remove(s.file("current")))
			s.symlink("v2", "current")

			_, err := reg.SetConfig(ctx, "mode", 7)
			s.Require().NoError(err)
			for key, want := range map[string]int{"mode": 7, "version": 1} {
				got, err := registry.Get[int](ctx, reg, key)
				s.Require().NoError(err)
				s.Require().Equal(want, got)
			}
			s.holdViews(reg, 20, func(err error) { s.Require().NoError(err) }) // each on a connection of its own
			copied := s.file("copy.db")
			s.Require().NoError(reg.Backup(ctx, copied))
			got, err := registry.Get[int](ctx, s.open(copied), "version")
			s.Require().NoError(err)
			s.Require().Equal(1, got)
		})
	}
}

// holdViews opens snapshots until so many are open at the same time, and checks what each of them got.
func (s *oneFileSuite) holdViews(reg *registry.Registry, n int, check func(error)) {
	hold, opened := make(chan struct{}), make(chan error)
	var views sync.WaitGroup
	for range n {
		views.Go(func() {
			reached := false
			err := reg.View(background, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.Revision(ctx)
				reached = true
				opened <- err
				<-hold
				return err
			})
			if !reached {
				opened <- err
			}
		})
	}
	var errs []error
	for range n {
		errs = append(errs, <-opened)
	}
	close(hold)
	views.Wait()
	for _, err := range errs {
		check(err)
	}
}

// Somebody moves the file of a running program and puts another in its place. What is open works on with the file that it
// has; nothing reads the other.
func (s *oneFileSuite) TestNothingJoinsOnAFileThatTookTheRegistrysPlace() {
	if runtime.GOOS == "windows" {
		s.T().Skip("a file that is open cannot be moved here")
	}
	for name, replace := range map[string]func(path string){
		"another registry": func(path string) { copyFile(s.T(), s.setOffline("other.db", 99), path) },
		"a copy of itself": func(path string) { copyFile(s.T(), s.file("before.db"), path) },
		"nothing":          func(string) {},
		"a symlink to it":  func(path string) { s.symlink(filepath.Base(path)+".old", filepath.Base(path)) },
	} {
		for _, opts := range [][]registry.Option{nil, {registry.WithReadOnly()}} {
			s.Run(name, func() {
				ctx := s.T().Context()
				path := s.create("x.db")
				copyFile(s.T(), path, s.file("before.db"))
				s.setOffline("before.db", 99)
				reg, err := s.tryOpen(path, opts...)
				s.Require().NoError(err)
				defer func() { s.Require().NoError(reg.Close()) }()
				s.Require().NoError(os.Rename(path, path+".old"))
				replace(path)

				// What a connection reads that was open before is the old file's.
				for range 3 {
					got, err := registry.Get[int](ctx, reg, "greeting")
					if err != nil {
						s.requireReplaced(err)
					} else {
						s.Require().Equal(1, got)
					}
				}
				s.holdViews(reg, 2, func(err error) { s.requireReplaced(err) })
				var n int
				err = reg.ReadDB().QueryRowContext(ctx, "SELECT count(*) FROM config").Scan(&n)
				s.Require().ErrorIs(err, registry.ErrReplaced)
				s.requireReplaced(reg.Backup(ctx, s.file("copy.db")))
				s.Require().NoFileExists(s.file("copy.db"))
				for change, err := range reg.Watch(ctx, 4) {
					if err != nil {
						s.requireReplaced(err)
					} else {
						s.Require().EqualValues(5, change.Revision)
					}
					break
				}
			})
		}
	}
}

// setOffline sets greeting in a registry that nobody has open, and makes it if it is missing.
func (s *oneFileSuite) setOffline(name string, greeting int) (path string) {
	reg, err := s.tryOpen(s.file(name))
	s.Require().NoError(err)
	_, err = reg.SetConfig(s.T().Context(), "greeting", greeting)
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	return s.file(name)
}

func (s *oneFileSuite) requireReplaced(err error) {
	s.T().Helper()
	s.Require().ErrorIs(err, registry.ErrReplaced)
	s.Require().NotErrorIs(err, registry.ErrBusy)
}

// A reader that was open before the file was replaced goes on with the file that the writer writes.
func (s *oneFileSuite) TestWhatIsOpenWorksOnWithTheFileThatItHas() {
	if runtime.GOOS == "windows" {
		s.T().Skip("a file that is open cannot be moved here")
	}
	ctx := s.T().Context()
	path := s.create("x.db")
	other := s.create("other.db")
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	requireFilled(s.T(), reg)
	s.Require().NoError(os.Rename(path, path+".old"))
	s.Require().NoError(os.Rename(other, path))
	_, err = reg.SetConfig(ctx, "greeting", 7)
	s.Require().NoError(err)
	got, err := registry.Get[int](ctx, reg, "greeting")
	s.Require().NoError(err)
	s.Require().Equal(7, got)
	s.Require().NoError(reg.Close())
}

// Two names of a file have a WAL each.
func (s *oneFileSuite) TestAFileWithTwoNamesIsRefusedUnderEach() {
	path := s.create("x.db")
	s.Require().NoError(os.Link(path, s.file("link.db")))
	before := folder(s.T(), s.dir)
	for _, name := range []string{path, s.file("link.db")} {
		s.requireEachWayRefuses(name, registry.ErrInvalid, "hard link")
	}
	s.Require().Equal(before, folder(s.T(), s.dir))
	s.Require().NoError(os.Remove(s.file("link.db")))
	requireFilled(s.T(), s.open(path))
}

// A backup program links the file for a moment: those who have it open go on.
func (s *oneFileSuite) TestASecondNameThatComesLaterBreaksNoReader() {
	path := s.create("x.db")
	reg := s.open(path)
	s.Require().NoError(os.Link(path, s.file("link.db")))
	requireFilled(s.T(), reg)
	s.holdViews(reg, 20, func(err error) { s.Require().NoError(err) })
	_, err := s.tryOpen(path)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().NoError(os.Remove(s.file("link.db")))
}

// requireEachWayRefuses fails unless each way to open a file gives the sentinel and names the path as it was given.
func (s *oneFileSuite) requireEachWayRefuses(path string, sentinel error, contains string) {
	s.T().Helper()
	ctx := s.T().Context()
	open := func(opts ...registry.Option) error {
		reg, err := s.tryOpen(path, opts...)
		s.Require().Nil(reg)
		return err
	}
	_, encrypted := registry.Encrypt(ctx, path, kekOf(1))
	_, plain := registry.Open(ctx, path)
	for way, err := range map[string]error{
		"open": open(), "must exist": open(registry.WithMustExist()), "read-only": open(registry.WithReadOnly()),
		"encrypt": encrypted, "decrypt": registry.Decrypt(ctx, path, kekOf(1)), "plain": plain,
	} {
		s.Require().ErrorIs(err, sentinel, way)
		var known *registry.Error
		s.Require().ErrorAs(err, &known, way)
		s.Require().Equal(path, known.Key, way)
		s.Require().ErrorContains(err, contains, way)
	}
}

// What was committed last is in a WAL without its file: a new registry would throw it away.
func (s *oneFileSuite) TestAJournalWithoutItsFileIsNoNewRegistry() {
	if s.mode.origin {
		s.T().Skip("the mode puts a file there before it opens it")
	}
	for name, c := range map[string]struct {
		suffix string
		lose   func(path string) error
	}{
		"WAL, file moved":     {"-wal", func(path string) error { return os.Rename(path, path+".aside") }},
		"WAL, file cut":       {"-wal", func(path string) error { return os.Truncate(path, 0) }},
		"journal, file moved": {"-journal", func(path string) error { return os.Rename(path, path+".aside") }},
	} {
		s.Run(name, func() {
			path := s.file("x.db")
			if c.suffix == "-wal" {
				child := startRole(s.T(), "dirty", s.mode.name, path, "committed")
				s.Require().Equal("ready", child.hear())
				child.kill()
			} else {
				crashed(s.T(), path, "CREATE TABLE notes (text)", "PRAGMA cache_size = 1", "BEGIN",
					"INSERT INTO notes SELECT hex(randomblob(2000)) FROM "+
						"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i FROM n)")
			}
			s.Require().Contains(names(s.T(), s.dir), "x.db"+c.suffix)
			whole, err := os.ReadFile(path)
			s.Require().NoError(err)
			s.Require().NoError(c.lose(path))
			before := folder(s.T(), s.dir)
			s.requireEachWayRefuses(path, registry.ErrCorrupt, "x.db"+c.suffix)
			s.Require().Equal(before, folder(s.T(), s.dir))

			if c.suffix == "-wal" { // as the message says
				s.Require().NoError(os.WriteFile(path, whole, 0o600))
				requireFilled(s.T(), s.open(path))
				return
			}
			s.Require().NoError(os.Rename(path+c.suffix, path+".moved"))
			fill(s.T(), s.open(path))
		})
	}
}

// A crash of the first transaction leaves an empty file and its journal, and the next opening goes on from there.
func (s *oneFileSuite) TestAnEmptyFileWithItsJournalIsANewRegistry() {
	path := s.file("x.db")
	crashed(s.T(), s.file("whole.db"), "CREATE TABLE notes (text)", "BEGIN", "INSERT INTO notes VALUES ('a')")
	journal, err := os.ReadFile(s.file("whole.db-journal"))
	s.Require().NoError(err)
	s.Require().NoError(os.WriteFile(path, nil, 0o600))
	s.Require().NoError(os.WriteFile(path+"-journal", journal[:min(len(journal), 512)], 0o600))
	fill(s.T(), s.open(path))
}

func TestSymlinksThatLeadNowhereAreRefused(t *testing.T) {
	dir := t.TempDir()
	for name, target := range map[string]string{"a.db": "b.db", "b.db": "a.db", "folder.db": ".", "missing.db": "missing/x.db"} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Skipf("no symlinks here: %v", err)
		}
	}
	for name, want := range map[string]error{
		"a.db": registry.ErrInvalid, "folder.db": registry.ErrInvalid, "missing.db": fs.ErrNotExist,
	} {
		_, err := registry.Open(t.Context(), filepath.Join(dir, name))
		require.ErrorIs(t, err, want, name)
	}
	require.Len(t, names(t, dir), 4)
}
