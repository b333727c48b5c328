package dbfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree makes a folder with folders, files and symlinks in it, and returns its path without symlinks.
func tree(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "v1", "data"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "v1", "data", "x.db"), nil, 0o600))
	for name, target := range map[string]string{
		"current":       "v1",
		"deep":          "v1/data",
		"file.db":       "current/data/x.db",
		"absolute.db":   filepath.Join(dir, "current", "data", "x.db"),
		"dangling.db":   "current/new.db",
		"chain.db":      "dangling.db",
		"up.db":         "deep/../new.db",
		"nowhere.db":    "missing/new.db",
		"circle.db":     "circle2.db",
		"circle2.db":    "circle.db",
		"folder.db":     "v1",
		"v1/inner.db":   "../current/data/y.db",
		"v1/outward.db": "data/../../z.db",
	} {
		if err := os.Symlink(target, filepath.Join(dir, filepath.FromSlash(name))); err != nil {
			t.Skipf("no symlinks here: %v", err)
		}
	}
	return dir
}

func TestAPathIsResolvedAsTheSystemDoes(t *testing.T) {
	dir := tree(t)
	for path, want := range map[string]string{
		"v1/data/x.db":       "v1/data/x.db",
		"v1/data/new.db":     "v1/data/new.db",
		"current/data/x.db":  "v1/data/x.db",
		"deep/new.db":        "v1/data/new.db",
		"file.db":            "v1/data/x.db",
		"absolute.db":        "v1/data/x.db",
		"dangling.db":        "v1/new.db",
		"chain.db":           "v1/new.db",
		"deep/../new.db":     "v1/new.db", // not dir/new.db
		"up.db":              "v1/new.db",
		"current/inner.db":   "v1/data/y.db",
		"current/outward.db": "z.db",
		"v1/data/x.db/":      "v1/data/x.db",
		"./v1//data/./x.db":  "v1/data/x.db",
	} {
		got, err := Resolve(dir + "/" + path)
		require.NoError(t, err, path)
		require.Equal(t, filepath.Join(dir, want), got, path)
	}
	t.Chdir(dir)
	got, err := Resolve("deep/../new.db")
	require.NoError(t, err)
	require.Equal(t, filepath.Join(dir, "v1", "new.db"), got)
}

func TestPathsThatMeanNoFile(t *testing.T) {
	dir := tree(t)
	for _, path := range []string{"", "a\x00b", dir, "/", dir + "/current", dir + "/folder.db", dir + "/circle.db"} {
		_, err := Resolve(path)
		require.ErrorIs(t, err, ErrUnfit, "%q", path)
	}
	for _, path := range []string{"missing/x.db", "nowhere.db", "current/missing/x.db"} {
		_, err := Resolve(dir + "/" + path)
		require.ErrorIs(t, err, fs.ErrNotExist, path)
	}
	_, err := Resolve(dir + "/file.db/below.db")
	require.Error(t, err)
}

func TestANewFileKeepsItsNameAndGetsARealFolder(t *testing.T) {
	dir := tree(t)
	for path, want := range map[string]string{
		"deep/new.db":    "v1/data/new.db",
		"dangling.db":    "dangling.db",
		"file.db":        "file.db",
		"circle.db":      "circle.db",
		"deep/../new.db": "v1/new.db",
	} {
		got, err := ResolveNew(dir + "/" + path)
		require.NoError(t, err, path)
		require.Equal(t, filepath.Join(dir, want), got, path)
	}
	for _, path := range []string{"", "a\x00b", dir, "/", dir + "/v1/.", dir + "/v1/.."} {
		_, err := ResolveNew(path)
		require.ErrorIs(t, err, ErrUnfit, "%q", path)
	}
	_, err := ResolveNew(dir + "/missing/x.db")
	require.ErrorIs(t, err, fs.ErrNotExist)
}
