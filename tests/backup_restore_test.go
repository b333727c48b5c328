package tests

import (
	"os"
	"path/filepath"

	"github.com/oxide-k/stateregistry/registry"
)

// crashed is a folder with the files of the test's registry as a crash would leave them.
func (s *backupSuite) crashed() (path string) {
	dir := s.T().TempDir()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		copyFile(s.T(), s.path+suffix, filepath.Join(dir, "registry.db"+suffix))
	}
	return filepath.Join(dir, "registry.db")
}

func (s *backupSuite) TestACopyIsRestoredAsTheDocumentationSays() {
	if s.mode.memory {
		s.T().Skip("there is no file to restore")
	}
	ctx := s.T().Context()
	write := func(from, to int) {
		for i := from; i < to; i++ {
			_, err := s.reg.SetConfig(ctx, numberKey(i), i)
			s.Require().NoError(err)
		}
	}
	write(0, 10)
	copied := s.copied("copy.db")
	s.Require().NoError(s.reg.Backup(ctx, copied))
	write(5, 300)
	path := s.crashed()
	s.Require().NoError(os.Remove(path + "-wal"))
	s.Require().NoError(os.Remove(path + "-shm"))
	s.Require().NoError(os.Rename(copied, path))

	restored, err := s.mode.open(ctx, path)
	s.Require().NoError(err)
	defer func() { closeVerified(s.T(), restored) }()
	entries, err := restored.ListConfig(ctx, "")
	s.Require().NoError(err)
	s.Require().Len(entries, 10)
	for i := range 10 {
		n, err := registry.Get[int](ctx, restored, numberKey(i))
		s.Require().NoError(err)
		s.Require().Equal(i, n)
	}
}
