package tests

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// A path is taken as it is: it is no URI and no pattern.
func TestPaths(t *testing.T) {
	runInFileModes(t, func() *pathSuite { return &pathSuite{} })
}

type pathSuite struct{ fileSuite }

// oddNames are what URIs, shells, SQL and drivers read meaning into.
var oddNames = []string{
	"with space.db", " leading and trailing ", "q?x=1", "x.db?mode=memory&vfs=memdb", "#fragment", "per%cent", "%41.db",
	"%00.db", "single'quote", `double"quote`, "plus+plus", "a&b", "semi;colon", "back\\slash", "line\nbreak", "tab\t",
	"generé-ключ-日本語-🔑", "invalid-\xff-utf8", "file:x.db", "-leading-dash", ":memory:.db", "a:b", "[brackets]", "x.db-wal.db",
}

func (s *pathSuite) TestOddNames() {
	for _, name := range oddNames {
		if !canBeNamed(name) {
			continue
		}
		s.Run(name, func() { s.requireUsable(s.file(name), s.dir, name) })
		if s.mode.origin {
			continue
		}
		s.Run("folder "+name, func() {
			s.Require().NoError(os.Mkdir(s.file(name), 0o700))
			s.requireUsable(filepath.Join(s.dir, name, "x.db"), s.file(name), "x.db")
		})
	}
}

func (s *pathSuite) TestRelativePaths() {
	for _, path := range []string{
		"x.db", "./x.db", "file:x.db", "-x.db", "sub/../x.db", "sub/x.db", "?.db", "file:x.db?mode=memory", "./:memory:",
	} {
		if !canBeNamed(filepath.Base(path)) {
			continue
		}
		s.Run(path, func() {
			s.Require().NoError(os.Mkdir(s.file("sub"), 0o700))
			s.T().Chdir(s.dir)
			where := filepath.Join(s.dir, path)
			s.requireUsable(path, filepath.Dir(where), filepath.Base(where), "sub")
		})
	}
}

// A folder that the process moves to later does not change where the registry is.
func (s *pathSuite) TestARelativePathIsThatOfTheOpening() {
	s.T().Chdir(s.dir)
	reg, err := s.tryOpen("x.db")
	s.Require().NoError(err)
	elsewhere := s.T().TempDir()
	s.T().Chdir(elsewhere)
	fill(s.T(), reg)
	requireFilled(s.T(), reg)
	closeVerified(s.T(), reg)
	s.Require().Equal([]string{"x.db"}, names(s.T(), s.dir))
	s.Require().Empty(names(s.T(), elsewhere))
}

func (s *pathSuite) TestSymlinks() {
	s.Run("to a registry", func() {
		s.Require().NoError(os.Mkdir(s.file("real"), 0o700))
		s.create("real/x.db")
		symlink(s.T(), "real/x.db", s.file("link.db"))
		reg := s.open(s.file("link.db"))
		requireFilled(s.T(), reg)
		_, err := reg.SetConfig(s.T().Context(), "greeting", 7)
		s.Require().NoError(err)
		// Two names with a WAL each would be two databases: the WAL is the file's, not the link's.
		s.Require().Equal([]string{"link.db", "real"}, names(s.T(), s.dir))
		s.Require().Equal([]string{"x.db", "x.db-shm", "x.db-wal"}, names(s.T(), s.file("real")))
		value, err := registry.Get[int](s.T().Context(), s.open(s.file("real/x.db")), "greeting")
		s.Require().NoError(err)
		s.Require().Equal(7, value)
	})
	s.Run("into a folder that is missing", func() {
		symlink(s.T(), "missing/x.db", s.file("dangling.db"))
		_, err := s.tryOpen(s.file("dangling.db"))
		s.Require().ErrorIs(err, fs.ErrNotExist)
		s.Require().NoError(os.Remove(s.file("dangling.db")))
	})
	s.Run("to nothing yet", func() {
		s.Require().NoError(os.Mkdir(s.file("real"), 0o700))
		symlink(s.T(), "real/x.db", s.file("link.db"))
		_, err := s.tryOpen(s.file("link.db"), registry.WithMustExist())
		s.Require().Error(err)
		reg, err := s.tryOpen(s.file("link.db"))
		s.Require().NoError(err)
		fill(s.T(), reg)
		closeVerified(s.T(), reg)
		s.Require().Equal([]string{"link.db", "real"}, names(s.T(), s.dir))
		s.Require().Equal([]string{"x.db"}, names(s.T(), s.file("real")))
		requireFilled(s.T(), s.open(s.file("real/x.db")))
	})
}

// requireUsable creates a registry at path, which is the file name in dir, reopens it, and fails where anything else
// than the file, its WAL and its index is made in dir. others lie beside it.
func (s *pathSuite) requireUsable(path, dir, name string, others ...string) {
	s.T().Helper()
	if filepath.Dir(s.file("sub")) != dir {
		others = nil
	}
	reg, err := s.tryOpen(path)
	s.Require().NoError(err)
	fill(s.T(), reg)
	s.Require().ElementsMatch(append([]string{name, name + "-wal", name + "-shm"}, others...), names(s.T(), dir))
	s.Require().NoError(reg.Close())
	s.Require().ElementsMatch(append([]string{name}, others...), names(s.T(), dir))

	reg, err = s.tryOpen(path, registry.WithMustExist())
	s.Require().NoError(err)
	requireFilled(s.T(), reg)
	closeVerified(s.T(), reg)
	s.Require().ElementsMatch(append([]string{name}, others...), names(s.T(), dir))
}
