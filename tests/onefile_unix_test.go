//go:build unix

package tests

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// Opening what waits for somebody at its other end would never return. Were it opened, this test would hang.
func (s *oneFileSuite) TestAFIFOOrASocketOrADeviceIsRefused() {
	if s.mode.origin {
		s.T().Skip("nothing of it is of the mode")
	}
	for kind, plant := range map[string]func(path string) error{
		"FIFO":   func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		"socket": func(path string) error {
			s.T().Chdir(s.dir) // a socket's path must be short
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: "socket"})
			if err != nil {
				return err
			}
			listener.SetUnlinkOnClose(false)
			return errors.Join(listener.Close(), os.Rename("socket", path))
		},
		"device": func(path string) error {
			const null = 1<<8 | 3 // /dev/null, on Linux
			err := syscall.Mknod(path, syscall.S_IFCHR|0o600, null)
			if errors.Is(err, fs.ErrPermission) {
				s.T().Skip("only root makes devices")
			}
			return err
		},
		"symlink to a FIFO": func(path string) error {
			return errors.Join(syscall.Mkfifo(s.file("fifo"), 0o600), os.Symlink("fifo", path))
		},
	} {
		for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
			s.Run(kind+suffix, func() {
				path := s.file("x.db")
				if suffix != "" {
					s.create("x.db")
				}
				s.Require().NoError(plant(path + suffix))
				beside := names(s.T(), s.dir)
				s.requireEachWayRefuses(path, registry.ErrInvalid, s.dir)
				s.Require().Equal(beside, names(s.T(), s.dir))
				reg := s.open(s.file("another.db"))
				err := reg.Backup(s.T().Context(), path)
				s.Require().Error(err)
				if suffix == "" && !strings.HasPrefix(kind, "symlink") {
					s.Require().ErrorIs(err, registry.ErrInvalid)
				} else {
					s.Require().ErrorIs(err, fs.ErrExist)
				}
			})
		}
	}
}

// A FIFO that is put there while the registry is open makes no reader hang either.
func (s *oneFileSuite) TestAFIFOThatComesLaterMakesNoReaderHang() {
	path := s.create("x.db")
	reg := s.open(path)
	s.Require().NoError(syscall.Mkfifo(path+"-journal", 0o600))
	s.holdViews(reg, 2, func(err error) { s.Require().ErrorIs(err, registry.ErrInvalid) })
	s.Require().NoError(os.Remove(path + "-journal"))
	requireFilled(s.T(), reg)
}

// A hot journal may name a journal of a transaction over several databases. SQLite opens the file of that name, whatever it
// is, after the playback. Were it opened, this test would hang.
func (s *oneFileSuite) TestAHotJournalThatNamesAnotherIsRefused() {
	if s.mode.origin {
		s.T().Skip("nothing of it is of the mode")
	}
	path, named := s.file("x.db"), s.file("x-mj00000090A") // SQLite accepts names of this form
	s.crashedOfSeveral(path, named)
	before := folder(s.T(), s.dir)
	s.withinMinutes(func() { s.requireEachWayRefuses(path, registry.ErrInvalid, "x.db-journal") })
	s.Require().Equal(before, folder(s.T(), s.dir))

	s.Require().NoError(os.Remove(named))
	s.Require().Equal([][]string{{`"kept"`}}, sqliteRows(s.T(), path, "SELECT text FROM notes"), "as the message says")
	_, err := s.tryOpen(path)
	s.Require().ErrorIs(err, registry.ErrNotRegistry)
}

// Such a journal that is put there while the registry is open reaches no connection that is opened later.
func (s *oneFileSuite) TestAJournalThatNamesAnotherAndComesLaterIsRefused() {
	path, named := s.create("x.db"), s.file("x-mj00000090A")
	reg := s.open(path)
	s.crashedOfSeveral(s.file("other.db"), named)
	s.Require().NoError(os.Remove(s.file("other.db")))
	s.Require().NoError(os.Rename(s.file("other.db-journal"), path+"-journal"))
	s.withinMinutes(func() {
		s.holdViews(reg, 2, func(err error) { s.Require().ErrorIs(err, registry.ErrInvalid) })
	})
	s.Require().NoError(os.Remove(path + "-journal"))
	requireFilled(s.T(), reg)
}

// withinMinutes ends the test, and all others, if a call hangs: no context can end a system call.
func (s *oneFileSuite) withinMinutes(call func()) {
	guard := time.AfterFunc(3*time.Minute, func() { panic(s.T().Name() + " hangs") })
	defer guard.Stop()
	call()
}

// crashedOfSeveral leaves a database and the hot journal of a transaction whose super-journal is a FIFO.
func (s *oneFileSuite) crashedOfSeveral(path, fifo string) {
	crashed(s.T(), path, "CREATE TABLE notes (text)", "INSERT INTO notes VALUES ('kept')", "PRAGMA cache_size = 1",
		"BEGIN", "UPDATE notes SET text = 'lost'", "INSERT INTO notes SELECT hex(randomblob(2000)) FROM "+
			"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50) SELECT i FROM n)")
	s.Require().NoError(syscall.Mkfifo(fifo, 0o600))
	nameSuperJournal(s.T(), path+"-journal", fifo)
}

// nameSuperJournal appends to a hot journal what SQLite writes at its end in a transaction over several databases
// (writeSuperJournal in its pager.c).
func nameSuperJournal(t *testing.T, journal, name string) {
	t.Helper()
	data, err := os.ReadFile(journal)
	require.NoError(t, err)
	require.NotZero(t, data[0], "it is hot")
	const sector, lockPage = 512, 0x40000000/4096 + 1
	for len(data)%sector != 0 {
		data = append(data, 0)
	}
	sum := uint32(0)
	for _, c := range []byte(name) {
		sum += uint32(int8(c))
	}
	data = append(binary.BigEndian.AppendUint32(data, lockPage), name...)
	data = binary.BigEndian.AppendUint32(data, uint32(len(name)))
	data = binary.BigEndian.AppendUint32(data, sum)
	data = append(data, 0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7)
	require.NoError(t, os.WriteFile(journal, data, 0o600))
}

// Whoever may write the folder, and not the file, could put a WAL there that is played into it, or read what is committed.
func (s *oneFileSuite) TestAWALOfAStrangerIsRefused() {
	if os.Geteuid() != 0 {
		s.T().Skip("only root can give a file away")
	}
	const alice, mallory = 4001, 4002
	for _, suffix := range []string{"-journal", "-wal", "-shm"} {
		s.Run(suffix, func() {
			path := s.create("x.db")
			s.Require().NoError(os.Chown(path, alice, -1))
			s.Require().NoError(os.WriteFile(path+suffix, nil, 0o666))
			s.Require().NoError(os.Chown(path+suffix, mallory, -1))
			before := folder(s.T(), s.dir)
			s.requireEachWayRefuses(path, registry.ErrInvalid, "x.db"+suffix)
			s.Require().Equal(before, folder(s.T(), s.dir))
			s.Require().NoError(os.Chown(path+suffix, alice, -1))
			requireFilled(s.T(), s.open(path))
		})
	}
}

// What a stranger puts there while the registry is open reaches no connection that is opened later.
func (s *oneFileSuite) TestAWALOfAStrangerThatComesLaterIsRefused() {
	if os.Geteuid() != 0 {
		s.T().Skip("only root can give a file away")
	}
	const mallory = 4002
	for _, suffix := range []string{"-journal", "-wal", "-shm"} {
		s.Run(suffix, func() {
			path := s.create("x.db")
			reg := s.open(path)
			own, kept := path+suffix, s.file("kept")
			_, err := os.Lstat(own)
			moved := err == nil
			if moved { // in a folder without the sticky bit anybody can
				s.Require().NoError(os.Rename(own, kept))
			}
			s.Require().NoError(os.WriteFile(own, []byte("planted"), 0o666))
			s.Require().NoError(os.Chown(own, mallory, -1))
			// Reading the file here would drop the registry's locks on it.
			long := time.Unix(1, 0)
			s.Require().NoError(os.Chtimes(path, long, long))

			refused := func(err error) {
				s.Require().ErrorIs(err, registry.ErrInvalid)
				s.Require().ErrorContains(err, "x.db"+suffix)
			}
			s.holdViews(reg, 2, refused)
			var n int
			refused(reg.ReadDB().QueryRowContext(s.T().Context(), "SELECT count(*) FROM config").Scan(&n))
			info, err := os.Lstat(path)
			s.Require().NoError(err)
			s.Require().Equal(long, info.ModTime(), "nothing wrote to the file")
			planted, err := os.ReadFile(own)
			s.Require().NoError(err)
			s.Require().Equal("planted", string(planted))

			s.Require().NoError(os.Remove(own))
			if moved {
				s.Require().NoError(os.Rename(kept, own))
			}
			requireFilled(s.T(), reg)
		})
	}
}

// What a crash of root's left can be gone on with by the file's owner, and by root.
func (s *oneFileSuite) TestAWALOfRootsIsTaken() {
	if os.Geteuid() != 0 {
		s.T().Skip("needs root")
	}
	path := s.file("x.db")
	child := startRole(s.T(), "dirty", s.mode.name, path, "committed")
	s.Require().Equal("ready", child.hear())
	child.kill()
	s.Require().NoError(os.Chown(path, 4001, -1))
	requireFilled(s.T(), s.open(path))
}

// A new file in a folder that everybody may write is what was meant: no link is followed, and it is private.
func (s *oneFileSuite) TestANewFileInASharedFolderIsPrivate() {
	s.Require().NoError(os.Chmod(s.dir, 0o777))
	reg := s.open(s.file("x.db"))
	fill(s.T(), reg)
	for _, name := range []string{"x.db", "x.db-wal", "x.db-shm"} {
		info, err := os.Lstat(s.file(name))
		s.Require().NoError(err)
		s.Require().Equal(fs.FileMode(0o600), info.Mode(), name)
		s.Require().EqualValues(1, info.Sys().(*syscall.Stat_t).Nlink, name)
	}
	s.Require().NoError(reg.Backup(s.T().Context(), s.file("copy.db")))
	info, err := os.Lstat(s.file("copy.db"))
	s.Require().NoError(err)
	s.Require().Equal(fs.FileMode(0o600), info.Mode())
	s.Require().EqualValues(1, info.Sys().(*syscall.Stat_t).Nlink)
}
