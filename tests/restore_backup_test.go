package tests

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/oxide-k/stateregistry/registry"
)

// What a backup is not.
func (s *restorePlaceSuite) TestWhatIsNoBackupIsRefused() {
	dir := s.T().TempDir()
	for name, c := range map[string]struct {
		prepare func(path string)
		want    error
	}{
		"oxide-k's":         {func(path string) { copyFile(s.T(), "testdata/oxide-k/plain.db", path) }, registry.ErrOldSchema},
		"another program's": {func(path string) { sqliteExec(s.T(), path, "CREATE TABLE notes (text)") }, registry.ErrNotRegistry},
		"none":              {func(path string) { s.Require().NoError(os.WriteFile(path, []byte("x"), 0o600)) }, registry.ErrNotRegistry},
		"empty":             {func(path string) { s.Require().NoError(os.WriteFile(path, nil, 0o600)) }, registry.ErrNotRegistry},
		"without its content": {func(path string) {
			s.Require().NoError(os.WriteFile(path+"-wal", []byte("commits"), 0o600))
		}, registry.ErrCorrupt},
		"a newer program's": {func(path string) {
			copyFile(s.T(), s.backup, path)
			sqliteExec(s.T(), path, "INSERT INTO migrations VALUES ('core', 99, 'x', 'y', 'z')")
		}, registry.ErrNewerSchema},
		"interrupted": {func(path string) {
			copyFile(s.T(), s.backup, path)
			s.Require().NoError(os.WriteFile(path+"-restoring", []byte("{}"), 0o600))
		}, registry.ErrRestoring},
	} {
		path := filepath.Join(dir, name)
		c.prepare(path)
		before := folder(s.T(), filepath.Dir(s.path))
		_, err := registry.Restore(s.T().Context(), path, s.path)
		s.Require().ErrorIs(err, c.want, name)
		s.Require().ErrorContains(err, path, name)
		s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)), name)
	}
}

// A backup is only read, and stays where it is.
func (s *restorePlaceSuite) TestTheBackupStaysAsItIs() {
	before := folder(s.T(), filepath.Dir(s.backup))
	_, err := s.restore()
	s.Require().NoError(err)
	s.Require().Equal(before, folder(s.T(), filepath.Dir(s.backup)))
	s.restored()
}

// A registry that runs is a backup too: what is committed at the moment, also what is in its WAL.
func (s *restorePlaceSuite) TestARunningRegistryIsABackup() {
	running, err := s.mode.open(s.T().Context(), s.path)
	s.Require().NoError(err)
	revision, err := running.SetConfig(s.T().Context(), "before", 1)
	s.Require().NoError(err)
	_, err = running.DeleteConfig(s.T().Context(), "after")
	s.Require().NoError(err)
	s.backup, s.path = s.path, filepath.Join(s.T().TempDir(), "x.db")
	report, err := s.restore()
	s.Require().NoError(err)
	s.Require().Equal(revision+1+1<<32, report.Revision)
	closeVerified(s.T(), running)
	s.restored()
}

// Encryption goes with the file.
func (s *restorePlaceSuite) TestAnEncryptedFileAndAPlaintextBackup() {
	if s.mode.encrypted() {
		s.T().Skip("it begins with a plaintext registry")
	}
	_, err := registry.Encrypt(s.T().Context(), s.path, kekOf(1))
	s.Require().NoError(err)
	report, err := s.restore(registry.RestorePlaintext())
	s.Require().NoError(err)
	s.Require().True(report.WasEncrypted)
	s.Require().False(report.Encrypted)
	s.restored()
	s.close()
	s.backup = report.Kept
	report, err = s.restore(registry.RestoreWithKEK(kekOf(1)))
	s.Require().NoError(err)
	s.Require().False(report.WasEncrypted)
	s.Require().True(report.Encrypted)
	reg, err := registry.OpenEncrypted(s.T().Context(), s.path, kekOf(1))
	s.Require().NoError(err)
	closeVerified(s.T(), reg)
}

func (s *restorePlaceSuite) TestArgumentsThatMakeNoSense() {
	ctx := s.T().Context()
	before := folder(s.T(), filepath.Dir(s.path))
	link := filepath.Join(s.T().TempDir(), "link")
	symlink(s.T(), s.path, link)
	for name, c := range map[string]struct {
		backup, path string
		want         error
	}{
		"the same":       {s.path, s.path, registry.ErrInvalid},
		"by a symlink":   {link, s.path, registry.ErrInvalid},
		"memory":         {registry.InMemory, s.path, registry.ErrInvalid},
		"to memory":      {s.backup, registry.InMemory, registry.ErrInvalid},
		"empty":          {"", s.path, registry.ErrInvalid},
		"to empty":       {s.backup, "", registry.ErrInvalid},
		"no backup":      {s.backup + "x", s.path, fs.ErrNotExist},
		"no folder":      {s.backup, filepath.Join(s.T().TempDir(), "none", "x"), fs.ErrNotExist},
		"a folder":       {s.backup, s.T().TempDir(), registry.ErrInvalid},
		"backup: folder": {s.T().TempDir(), s.path, registry.ErrInvalid},
	} {
		_, err := registry.Restore(ctx, c.backup, c.path)
		s.Require().ErrorIs(err, c.want, name)
	}
	for _, opt := range []registry.RestoreOption{
		nil, registry.WithRevisionAbove(-1), registry.WithRevisionAbove(1 << 62),
	} {
		_, err := s.restore(opt)
		s.Require().ErrorIs(err, registry.ErrInvalid)
	}
	_, err := s.restore(registry.RestoreWithKEK(kekOf(1)), registry.RestoreWithKEK(kekOf(1)))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	_, err = registry.Restore(cancelled, s.backup, s.path)
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().Equal(before, folder(s.T(), filepath.Dir(s.path)))
}
