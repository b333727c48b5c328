package dbfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestANameIsFreeWithoutAJournal(t *testing.T) {
	for _, c := range []struct {
		name    string
		content map[string]string
		free    bool
	}{
		{"nothing", nil, true},
		{"file", map[string]string{"": "x"}, false},
		{"empty file", map[string]string{"": ""}, false},
		{"WAL", map[string]string{"-wal": "x"}, false},
		{"journal", map[string]string{"-journal": "x"}, false},
		{"empty journal", map[string]string{"-journal": ""}, false},
		{"empty WAL", map[string]string{"-wal": ""}, true},
	} {
		path := filepath.Join(t.TempDir(), "x.db")
		for suffix, text := range c.content {
			put(t, path+suffix, text)
		}
		if c.free {
			require.NoError(t, CheckFree(path), c.name)
		} else {
			require.ErrorIs(t, CheckFree(path), fs.ErrExist, c.name)
		}
		entries, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, entries, len(c.content), "nothing is removed")
	}
}

func TestASymlinkTakesAName(t *testing.T) {
	for _, suffix := range append([]string{""}, suffixes...) {
		path := filepath.Join(t.TempDir(), "x.db")
		if err := os.Symlink("missing", path+suffix); err != nil {
			t.Skipf("no symlinks here: %v", err)
		}
		require.ErrorIs(t, CheckFree(path), fs.ErrExist, suffix)
	}
}
