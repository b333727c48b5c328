package tests

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// Symlinks that somebody planted where a backup is to be made, or SQLite's files beside it, are followed nowhere.
func (s *backupSuite) TestPlantedSymlinksAreNotFollowed() {
	victim := filepath.Join(s.T().TempDir(), "victim")
	s.Require().NoError(os.WriteFile(victim, []byte("precious"), 0o600))
	for _, suffix := range []string{"", "-wal", "-journal", "-shm"} {
		for name, target := range map[string]string{
			"to a file": victim, "to nothing": victim + ".new", "to an empty file": os.DevNull, "to itself": "x.db" + suffix,
		} {
			planted := s.copied("x.db" + suffix)
			if err := os.Symlink(target, planted); err != nil {
				s.T().Skipf("no symlinks here: %v", err)
			}
			s.Require().ErrorIs(s.reg.Backup(s.T().Context(), s.copied("x.db")), fs.ErrExist, "%s %s", suffix, name)
			s.Require().Equal([]string{"x.db" + suffix}, names(s.T(), s.dir))
			s.Require().NoError(os.Remove(planted))
		}
	}
	content, err := os.ReadFile(victim)
	s.Require().NoError(err)
	s.Require().Equal("precious", string(content))
	s.Require().NoFileExists(victim + ".new")
}

// A folder may be reached through a symlink; what is in the folder is made there.
func (s *backupSuite) TestAFolderThroughASymlink() {
	fill(s.T(), s.reg)
	s.Require().NoError(os.Mkdir(s.copied("real"), 0o700))
	if err := os.Symlink("real", s.copied("link")); err != nil {
		s.T().Skipf("no symlinks here: %v", err)
	}
	s.Require().NoError(s.reg.Backup(s.T().Context(), s.copied("link/copy.db")))
	s.Require().Equal([]string{"copy.db"}, names(s.T(), s.copied("real")))
	requireFilled(s.T(), s.openCopy(s.copied("real/copy.db")))
}

// Connections that only read leave an empty WAL and its index behind; that is no reason to refuse a backup of that name.
func (s *backupSuite) TestWhatReadersLeftOfAnEarlierCopyIsNotInTheWay() {
	fill(s.T(), s.reg)
	path := s.copied("copy.db")
	s.Require().NoError(s.reg.Backup(s.T().Context(), path))
	sqliteExec(s.T(), path, "PRAGMA journal_mode = WAL")
	reader, err := s.mode.open(s.T().Context(), path, registry.WithReadOnly())
	s.Require().NoError(err)
	requireFilled(s.T(), reader)
	s.Require().NoError(reader.Close())
	left := names(s.T(), s.dir)
	s.Require().NoError(os.Remove(path))

	err = s.reg.Backup(s.T().Context(), path)
	if _, failed := os.Stat("/proc/locks"); failed != nil && len(left) > 1 {
		s.Require().ErrorIs(err, fs.ErrExist) // nothing tells that nobody uses it
		return
	}
	s.Require().NoError(err)
	s.Require().Equal(left, names(s.T(), s.dir), "nothing is removed that may be somebody's")
	requireFilled(s.T(), s.openCopy(path))
	reg, err := s.mode.open(s.T().Context(), path)
	s.Require().NoError(err)
	_, err = reg.SetConfig(s.T().Context(), "greeting", 7)
	s.Require().NoError(err)
	closeVerified(s.T(), reg)
}

// The file of a copy that somebody has open was removed: its WAL is in use, and the next copy must not get it.
func (s *backupSuite) TestTheWALOfACopyThatIsOpenIsInTheWay() {
	fill(s.T(), s.reg)
	path := s.copied("copy.db")
	s.Require().NoError(s.reg.Backup(s.T().Context(), path))
	sqliteExec(s.T(), path, "PRAGMA journal_mode = WAL")
	reader, err := s.mode.open(s.T().Context(), path, registry.WithReadOnly())
	s.Require().NoError(err)
	defer reader.Close()
	requireFilled(s.T(), reader)
	if err := os.Remove(path); err != nil {
		s.T().Skipf("a file that is open cannot be removed here: %v", err)
	}
	s.Require().ErrorIs(s.reg.Backup(s.T().Context(), path), fs.ErrExist)
}

// What a backup that was killed left behind is removed by the next one, and what a running one has is not.
func (s *backupSuite) TestWhatAKilledBackupLeftIsRemovedByTheNext() {
	if s.mode.memory || s.mode.origin {
		s.T().Skip("another process has no registry in this memory, or it is the same as in another mode")
	}
	for i := range 32 {
		_, err := s.reg.SetConfig(s.T().Context(), fmt.Sprint("big/", i), strings.Repeat("x", 512<<10))
		s.Require().NoError(err)
	}
	left := ""
	for tries := 0; left == "" && tries < 20; tries++ { // the child may be faster
		child := startRole(s.T(), "backup", s.mode.name, s.path, s.copied(fmt.Sprint(tries, ".db")))
		s.Require().Equal("ready", child.hear())
		s.Require().Eventually(func() bool {
			left = s.workspace()
			_, err := os.Stat(s.copied(fmt.Sprint(tries, ".db")))
			return left != "" || err == nil
		}, time.Minute, 100*time.Microsecond)
		child.kill()
		left = s.workspace()
	}
	if left == "" {
		s.T().Skip("each backup ended before it could be killed")
	}
	s.Require().NoError(s.reg.Backup(s.T().Context(), s.copied("copy.db")))
	if left := s.workspace(); lockableFolders {
		s.Require().Empty(left)
	}
	s.openCopy(s.copied("copy.db"))
}

// In a folder without the sticky bit another user can rename the private folder of a registry so that it looks like what a
// killed backup left.
func (s *backupSuite) TestARegistryWhoseFolderWasRenamedIsNotSwept() {
	private := s.copied("private")
	s.Require().NoError(os.Mkdir(private, 0o700))
	reg, err := registry.Open(s.T().Context(), filepath.Join(private, "database"))
	s.Require().NoError(err)
	fill(s.T(), reg)
	s.Require().NoError(reg.Close())
	renamed := s.copied(".stateregistry-backup-" + rand.Text())
	s.Require().NoError(os.Rename(private, renamed))
	s.Require().NoError(s.reg.Backup(s.T().Context(), s.copied("copy.db")))
	reg, err = registry.Open(s.T().Context(), filepath.Join(renamed, "database"), registry.WithMustExist())
	s.Require().NoError(err)
	requireFilled(s.T(), reg)
	s.Require().NoError(reg.Close())
}

// workspace returns the name of a private folder of a backup, "" if there is none.
func (s *backupSuite) workspace() string {
	for _, name := range names(s.T(), s.dir) {
		if strings.HasPrefix(name, ".stateregistry-backup-") {
			return name
		}
	}
	return ""
}

// roleBackup backs a registry up.
func roleBackup(args []string) (err error) {
	reg, err := modeNamed(args[0]).open(background, args[1])
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	saying("ready")
	return reg.Backup(background, args[2])
}

// lockableFolders says that a folder's lock tells whether the process that made it lives.
const lockableFolders = runtime.GOOS != "windows" && runtime.GOOS != "solaris" && runtime.GOOS != "aix"
