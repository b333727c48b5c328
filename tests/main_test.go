package tests

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// roleVar names the part that a copy of this test binary plays in a test of another process: it then runs no tests.
const roleVar = "STATEREGISTRY_TEST_ROLE"

// role is what such a copy does. It gets its arguments, talks in lines on standard input and output, and says on
// standard error why it failed.
type role func(args []string) error

// roles are all the parts that there are, by name.
func roles() map[string]role {
	all := map[string]role{
		"open":     roleOpen,
		"umask":    roleUmask,
		"dirty":    roleDirty,
		"together": roleTogether,
		"migrate":  roleMigrate,
		"follow":   roleFollow,
		"rotate":   roleRotate,
		"encrypt":  roleEncrypt,
		"count":    roleCount,
		"write":    roleWrite,
		"disk":     roleDisk,
		"set":      roleSet,
		"backup":   roleBackup,
		"nth":      roleNth,
		"rekey":    roleRekey,
		"read":     roleRead,
		"restore":  roleRestore,
		"hold":     roleHold,
	}
	maps.Copy(all, systemRoles())
	return all
}

func TestMain(m *testing.M) {
	name := os.Getenv(roleVar)
	if name == "" {
		os.Exit(m.Run())
	}
	play, ok := roles()[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "no role %q\n", name)
		os.Exit(2)
	}
	if err := play(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child is a process that plays a role.
type child struct {
	t      testing.TB
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	stderr *bytes.Buffer
	ended  bool
}

// startRole starts a process that plays a role; it is killed at the end of the test if it still runs then.
func startRole(t testing.TB, name string, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	return startCommand(t, name, exec.Command(exe, args...))
}

func startCommand(t testing.TB, name string, cmd *exec.Cmd) *child {
	t.Helper()
	c := &child{t: t, cmd: cmd, stderr: &bytes.Buffer{}}
	cmd.Env = append(cmd.Environ(), roleVar+"="+name)
	cmd.Stderr = c.stderr
	var err error
	c.in, err = cmd.StdinPipe()
	require.NoError(t, err)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	c.out = bufio.NewScanner(out)
	require.NoError(t, cmd.Start())
	t.Cleanup(c.kill)
	return c
}

// say gives the child a line.
func (c *child) say(line string) {
	c.t.Helper()
	_, err := fmt.Fprintln(c.in, line)
	require.NoError(c.t, err, "%s", c.stderr)
}

// hear waits for a line of the child, and fails the test where the child ended instead.
func (c *child) hear() string {
	c.t.Helper()
	if !c.out.Scan() {
		c.kill()
		require.FailNow(c.t, "the child ended", "%v: %s", c.cmd.ProcessState, c.stderr)
	}
	return c.out.Text()
}

// kill ends the child as a crash does: with SIGKILL, and without a chance to clean up.
func (c *child) kill() {
	if !c.ended {
		c.ended = true
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// wait is for a child that ends by itself, without an error. It returns what the child said that was not heard yet.
func (c *child) wait() []string {
	c.t.Helper()
	_ = c.in.Close()
	var lines []string
	for c.out.Scan() {
		lines = append(lines, c.out.Text())
	}
	c.ended = true
	require.NoError(c.t, c.cmd.Wait(), "%s", c.stderr)
	return lines
}

// The child's side: hearing gives the parent's lines until the parent goes away.
func hearing() *bufio.Scanner { return bufio.NewScanner(os.Stdin) }

func saying(words ...string) { fmt.Println(strings.Join(words, " ")) }
