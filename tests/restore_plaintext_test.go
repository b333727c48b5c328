package tests

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/oxide-k/stateregistry/registry"
)

// Whoever can write the backup, and has no key, could put a plaintext one there.
func (s *restoreAgainSuite) TestAPlaintextBackupNeedsASayForAnEncryptedFile() {
	_, err := registry.Encrypt(s.T().Context(), s.path, kekOf(1))
	s.Require().NoError(err)
	whole := s.path
	for name, damage := range map[string]func(){
		"whole":        func() {},
		"guard":        func() { sqliteExec(s.T(), s.path, "DROP TRIGGER config_delete") },
		"newer schema": func() { sqliteExec(s.T(), s.path, "INSERT INTO migrations VALUES ('core', 99, 'x', 'y', 'z')") },
	} {
		s.path = filepath.Join(s.T().TempDir(), "x.db")
		copyFile(s.T(), whole, s.path)
		damage()
		before := contentOf(s.T(), s.path)
		_, err = s.restore(registry.WithRevisionAbove(9))
		s.Require().ErrorIs(err, registry.ErrNotEncrypted, name)
		s.Require().ErrorContains(err, "RestorePlaintext", name)
		s.Require().Equal(before, contentOf(s.T(), s.path), name)
		report, err := s.restore(registry.WithRevisionAbove(9), registry.RestorePlaintext())
		s.Require().NoError(err, name)
		s.Require().True(report.WasEncrypted, name)
		s.Require().False(report.Encrypted, name)
		s.Require().Equal(1, s.value(s.path), name)
	}
}

// The marker remembers it, also if it was interrupted twice and the file is gone.
func (s *restoreAgainSuite) TestItIsRememberedThatTheFileWasEncrypted() {
	_, err := registry.Encrypt(s.T().Context(), s.path, kekOf(1))
	s.Require().NoError(err)
	plaintext := registry.RestorePlaintext()
	for _, at := range []string{"put the new file there", "put the new file there", "sync the names", "remove the marker"} {
		s.interrupt(at, plaintext)
		_, err := s.restore()
		s.Require().ErrorIs(err, registry.ErrNotEncrypted, at)
	}
	report, err := s.restore(plaintext)
	s.Require().NoError(err)
	s.Require().True(report.WasEncrypted)
	s.Require().False(report.Encrypted)
	s.Require().Equal(1, s.value(s.path))
}

// The file that an interrupted restore made is not the old one.
func (s *restoreAgainSuite) TestItIsRememberedThatTheFileWasPlaintext() {
	sealed := filepath.Join(s.T().TempDir(), "sealed.db")
	copyFile(s.T(), s.backup, sealed)
	_, err := registry.Encrypt(s.T().Context(), sealed, kekOf(1))
	s.Require().NoError(err)
	plain := s.backup
	for from, encrypted := range map[string]bool{sealed: true, plain: false} {
		s.SetupTest()
		reg, err := registry.Open(s.T().Context(), plain, registry.WithReadOnly())
		s.Require().NoError(err)
		s.Require().NoError(os.Remove(s.path))
		s.Require().NoError(reg.Backup(s.T().Context(), s.path))
		s.Require().NoError(reg.Close())
		s.backup = sealed
		s.interrupt("remove the marker")
		s.backup = from
		report, err := s.restore()
		s.Require().NoError(err, from)
		s.Require().False(report.WasEncrypted, from)
		s.Require().Equal(encrypted, report.Encrypted, from)
	}
}

func (s *restoreAgainSuite) TestAKeyAndPlaintextMakeNoSense() {
	for _, opts := range [][]registry.RestoreOption{
		{registry.RestorePlaintext(), registry.RestoreWithKEK(kekOf(1))}, {registry.RestoreWithKEK(kekOf(1)), registry.RestorePlaintext()},
	} {
		_, err := s.restore(opts...)
		s.Require().ErrorIs(err, registry.ErrInvalid)
	}
	s.Require().Equal(3, s.value(s.path))
}

// What is in the place of a newer program's registry is another one: its id can be read.
func (s *restoreAgainSuite) TestAnotherRegistryOfANewerProgramIsNotMovedAway() {
	other := filepath.Join(s.T().TempDir(), "other.db")
	s.make(other, filepath.Join(s.T().TempDir(), "backup.db"))
	sqliteExec(s.T(), other, "INSERT INTO migrations VALUES ('core', 99, 'x', 'y', 'z')")
	_, err := registry.Restore(s.T().Context(), s.backup, other, registry.WithRevisionAbove(9))
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorContains(err, "move the old file away")
	s.Require().False(strings.Contains(err.Error(), "WithRevisionAbove"))
}
