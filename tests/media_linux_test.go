package tests

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/registry"
)

// A registry in a folder in which its reader can create nothing: an image, a CD, somebody else's folder.
func TestMedia(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can be two users")
	}
	suite.Run(t, &mediaSuite{})
}

type mediaSuite struct {
	suite.Suite
	path string
}

func (s *mediaSuite) SetupTest() {
	dir, err := os.MkdirTemp("", "stateregistry-media-*") // t.TempDir's folders are root's alone
	s.Require().NoError(err)
	s.T().Cleanup(func() { _ = os.RemoveAll(dir) })
	s.Require().NoError(os.Chmod(dir, 0o755))
	s.path = filepath.Join(dir, "x.db")
	s.write("a", 1)
	s.Require().NoError(os.Chmod(s.path, 0o644))
}

func (s *mediaSuite) write(key string, value int) {
	reg, err := registry.Open(background, s.path)
	s.Require().NoError(err)
	_, err = reg.SetConfig(background, key, value)
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
}

// read starts a process of another user, which reads at each line.
func (s *mediaSuite) read() *child { return startRole(s.T(), "visitor", s.path) }

func (s *mediaSuite) TestAFileThatDoesNotChangeIsRead() {
	visitor := s.read()
	for range 3 {
		visitor.say("read")
		s.Require().Equal("1 1 1", visitor.hear())
	}
	visitor.say("close")
	visitor.wait()
	s.Require().Equal([]string{"x.db"}, names(s.T(), filepath.Dir(s.path)))
}

func (s *mediaSuite) TestAFileThatChangesAfterAllIsNoticed() {
	visitor := s.read()
	visitor.say("read")
	s.Require().Equal("1 1 1", visitor.hear())
	s.write("a", 2)
	for range 2 {
		visitor.say("read")
		s.Require().Equal("replaced replaced replaced", visitor.hear())
	}
	visitor.say("close")
	visitor.wait()
	again := s.read()
	again.say("read")
	s.Require().Equal("2 2 2", again.hear())
}

func (s *mediaSuite) TestAWriterThatComesLaterIsNoticed() {
	visitor := s.read()
	visitor.say("read")
	s.Require().Equal("1 1 1", visitor.hear())
	reg, err := registry.Open(background, s.path)
	s.Require().NoError(err)
	_, err = reg.SetConfig(background, "a", 2) // it is in FILE-wal
	s.Require().NoError(err)
	visitor.say("read")
	s.Require().Equal("replaced replaced replaced", visitor.hear())
	s.Require().NoError(reg.Close())
}

func (s *mediaSuite) TestCommitsInTheWALAreNotPassedOver() {
	crashed := startRole(s.T(), "umask", "plaintext", s.path)
	s.Require().Equal("filled", crashed.hear())
	crashed.kill()
	s.Require().NoError(os.Remove(s.path + "-shm"))
	s.Require().NoError(os.Chmod(s.path+"-wal", 0o644))
	visitor := s.read()
	s.Require().Equal("read-only", visitor.hear())
	visitor.wait()
}
