package tests

import (
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What differs from system to system. Only Linux is where the tests are run: see README's caveats.

// symlink makes a link. On Windows that takes a privilege, without which the test is skipped.
func symlink(t testing.TB, target, name string) {
	t.Helper()
	err := os.Symlink(target, name)
	if err != nil && runtime.GOOS == "windows" {
		t.Skipf("links take a privilege here: %v", err)
	}
	require.NoError(t, err)
}

// requirePermissions requires that a file has the permissions. Windows has others.
func requirePermissions(t testing.TB, want fs.FileMode, path string) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	if runtime.GOOS != "windows" {
		require.Equal(t, want, info.Mode(), path)
	}
}

// program skips a test of which it is a part, if this system has no such program.
func program(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("it needs the program %s: %v", name, err)
	}
	return path
}

// canBeNamed reports whether this system takes a file name.
func canBeNamed(name string) bool {
	switch runtime.GOOS {
	case "windows":
		return utf8.ValidString(name) && !strings.ContainsAny(name, "<>:\"/\\|?*\n\t") && strings.TrimRight(name, " .") == name
	case "darwin":
		return utf8.ValidString(name)
	}
	return true
}

// sqliteURI returns a file's name for SQLite, with parameters that begin with a question mark, or none.
func sqliteURI(path, params string) string {
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if path = filepath.ToSlash(path); !strings.HasPrefix(path, "/") { // C:/…
		path = "/" + path
	}
	return (&url.URL{Scheme: "file", Path: path}).String() + params
}
