//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package dbfile

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// childVar names a folder in which a copy of this test binary makes something, instead of running tests.
const childVar = "DBFILE_TEST_CHILD"

func TestMain(m *testing.M) {
	dir := os.Getenv(childVar)
	if dir == "" {
		os.Exit(m.Run())
	}
	if err := makeAndWait(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// makeAndWait makes a file in a workspace under a umask that forbids everything, and waits until it is killed, or let go on.
func makeAndWait(dir string) error {
	syscall.Umask(0o777)
	work, err := NewWorkspace(dir, "test")
	if err != nil {
		return err
	}
	f, err := work.Create()
	if err != nil {
		return err
	}
	if _, err := f.WriteString("unfinished"); err != nil {
		return err
	}
	fmt.Println(work.Path())
	if !bufio.NewScanner(os.Stdin).Scan() {
		return nil
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := work.Publish(info, "name"); err != nil {
		return err
	}
	return work.Remove()
}

// maker starts a process that has made a workspace, and returns the path of the file in it.
func maker(t *testing.T, dir string) (path string, goOn func(), kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(cmd.Environ(), childVar+"="+dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	ended := false
	kill = func() {
		if !ended {
			ended = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the child ended")
	return lines.Text(), func() {
		ended = true
		_, err := fmt.Fprintln(in)
		require.NoError(t, err)
		require.NoError(t, cmd.Wait())
	}, kill
}

func TestWhatAKilledMakerLeftIsRemovedByTheNext(t *testing.T) {
	dir := t.TempDir()
	left, _, kill := maker(t, dir)
	kill()
	require.FileExists(t, left)
	put(t, left+"-journal", "SQLite's") // what else may be in it
	work, err := NewWorkspace(dir, "test")
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Dir(left))
	require.NoError(t, work.Remove())
	require.Empty(t, entries(t, dir))
}

func TestWhatALivingMakerHasIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	living, goOn, _ := maker(t, dir)
	for range 3 {
		work, err := NewWorkspace(dir, "test")
		require.NoError(t, err)
		require.NoError(t, work.Remove())
		require.FileExists(t, living)
	}
	goOn()
	require.Equal(t, []string{"name"}, entries(t, dir))
}

func TestPermissionsAreThoseOfItsOwnerWhateverTheUmask(t *testing.T) {
	dir := t.TempDir()
	path, goOn, _ := maker(t, dir)
	info, err := os.Stat(filepath.Dir(path))
	require.NoError(t, err)
	require.Equal(t, os.ModeDir|0o700, info.Mode())
	info, err = os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	goOn()
}
