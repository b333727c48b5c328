//go:build unix

package tests

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPermissions(t *testing.T) {
	runInFileModes(t, func() *permissionSuite { return &permissionSuite{} })
}

type permissionSuite struct{ fileSuite }

// The umask belongs to the whole process, so a child sets it.
func (s *permissionSuite) TestNewFilesArePrivateWhateverTheUmask() {
	c := startRole(s.T(), "umask", s.mode.name, s.file("x.db"))
	s.Require().Equal("filled", c.hear())
	for _, name := range []string{"x.db", "x.db-wal", "x.db-shm"} {
		info, err := os.Stat(s.file(name))
		s.Require().NoError(err)
		s.Require().Equal(fs.FileMode(0o600), info.Mode(), name)
	}
	s.Require().Equal([]string{"x.db", "x.db-shm", "x.db-wal"}, names(s.T(), s.dir))
	c.say("close")
	c.wait()
	s.Require().Equal([]string{"x.db"}, names(s.T(), s.dir))
}

// A file that was made before keeps its mode: its owner has decided.
func (s *permissionSuite) TestExistingFilesKeepTheirMode() {
	path := s.file("x.db")
	s.Require().NoError(os.WriteFile(path, nil, 0o600))
	s.Require().NoError(os.Chmod(path, 0o640))
	fill(s.T(), s.open(path))
	for _, name := range []string{"x.db", "x.db-wal", "x.db-shm"} {
		info, err := os.Stat(s.file(name))
		s.Require().NoError(err)
		s.Require().Equal(fs.FileMode(0o640), info.Mode(), name)
	}
}

func (s *permissionSuite) TestAFileThatCannotBeWritten() {
	for _, c := range []struct {
		name         string
		oxide        bool // an oxide-k database, not a registry
		folder, file fs.FileMode
		opts         string
		answer       string
	}{
		{"current", false, 0o755, 0o444, "", "ErrReadOnly"},
		{"current, in a folder that can be written", false, 0o777, 0o444, "", "ErrReadOnly"},
		{"current, must exist", false, 0o777, 0o444, "must-exist", "ErrReadOnly"},
		{"oxide-k's", true, 0o755, 0o444, "", "ErrReadOnly"},
		{"oxide-k's, in a folder that can be written", true, 0o777, 0o444, "", "ErrReadOnly"},
		{"current, read-only, in a folder that can be written", false, 0o777, 0o444, "read-only", "filled"},
		{"not readable", false, 0o777, 0o000, "", "fs.ErrPermission"},
	} {
		s.Run(c.name, func() {
			exe, dir := unprivileged(s.T())
			path := filepath.Join(dir, "x.db")
			if c.oxide {
				s.oxideFile(path)
			} else {
				copyFile(s.T(), s.create("x.db"), path)
			}
			s.Require().NoError(os.Chmod(path, c.file))
			s.Require().NoError(os.Chmod(dir, c.folder))
			before := folder(s.T(), dir)["x.db"]
			child := startCommand(s.T(), "open", exe(s.mode.name, path, c.opts))
			s.Require().Equal([]string{c.answer}, child.wait())
			s.Require().Equal(before, folder(s.T(), dir)["x.db"])
			for _, name := range names(s.T(), dir) {
				s.Require().NotContains(name, ".stateregistry-")
			}
		})
	}
}

func (s *permissionSuite) TestAFolderThatCannotBeWritten() {
	exe, dir := unprivileged(s.T())
	s.Require().NoError(os.Chmod(dir, 0o755))
	child := startCommand(s.T(), "open", exe(s.mode.name, filepath.Join(dir, "x.db"), ""))
	s.Require().Equal([]string{"fs.ErrPermission"}, child.wait())
	s.Require().Empty(names(s.T(), dir))
}

// unprivileged gives a folder, and commands that run this test binary as somebody to whom its modes apply: to root none
// do. The folder belongs to whoever runs the tests.
func unprivileged(t testing.TB) (command func(args ...string) *exec.Cmd, dir string) {
	t.Helper()
	root, err := os.MkdirTemp("", "stateregistry-test-*") // t.TempDir lies in a folder that only its owner may enter
	require.NoError(t, err)
	dir = filepath.Join(root, "dir")
	t.Cleanup(func() {
		_ = os.Chmod(dir, 0o700)
		require.NoError(t, os.RemoveAll(root))
	})
	require.NoError(t, os.Chmod(root, 0o755))
	require.NoError(t, os.Mkdir(dir, 0o755))
	exe, err := os.Executable()
	require.NoError(t, err)
	if os.Geteuid() != 0 {
		return func(args ...string) *exec.Cmd { return exec.Command(exe, args...) }, dir
	}
	const nobody = 65534
	theirs := filepath.Join(root, "test") // the folder that go test made it in is not theirs to enter
	if os.Link(exe, theirs) != nil {
		binary, err := os.ReadFile(exe)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(theirs, binary, 0o755))
	}
	exe = theirs
	as := &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	probe := exec.Command(exe, "-test.run=^$")
	probe.SysProcAttr, probe.Dir = as, "/"
	if out, err := probe.CombinedOutput(); err != nil {
		t.Skipf("root may write anything, and this system runs no process as user %d: %v: %s", nobody, err, out)
	}
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command(exe, args...)
		cmd.SysProcAttr, cmd.Dir = as, "/"
		return cmd
	}, dir
}
