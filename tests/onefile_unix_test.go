//go:build unix

package tests

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"strings"
	"syscall"

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
