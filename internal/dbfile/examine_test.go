package dbfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// put writes a file of a test's folder.
func put(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
}

func TestAJournalWithoutItsContentIsTorn(t *testing.T) {
	for _, c := range []struct {
		name    string
		content map[string]string
		want    error
	}{
		{"nothing", map[string]string{}, nil},
		{"empty file", map[string]string{"": ""}, nil},
		{"whole", map[string]string{"": "x", "-wal": "x", "-shm": "x", "-journal": "x"}, nil},
		{"missing, WAL", map[string]string{"-wal": "x"}, ErrTorn},
		{"missing, empty WAL", map[string]string{"-wal": "", "-shm": "x"}, nil},
		{"missing, journal", map[string]string{"-journal": "x"}, ErrTorn},
		{"missing, empty journal", map[string]string{"-journal": ""}, nil},
		{"empty, WAL", map[string]string{"": "", "-wal": "x", "-shm": "x"}, ErrTorn},
		{"empty, empty WAL", map[string]string{"": "", "-wal": "", "-shm": "x"}, nil},
		{"empty, journal: a crash of the first transaction", map[string]string{"": "", "-journal": "x"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			for suffix, text := range c.content {
				put(t, path+suffix, text)
			}
			file, err := Examine(path)
			require.ErrorIs(t, err, c.want)
			_, exists := c.content[""]
			require.Equal(t, exists && c.want == nil, file != nil)
		})
	}
}

func TestAFileWithTwoNamesIsUnfit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	put(t, path, "x")
	require.NoError(t, os.Link(path, path+".other"))
	for _, name := range []string{path, path + ".other"} {
		_, err := Examine(name)
		require.ErrorIs(t, err, ErrUnfit)
	}
	require.NoError(t, os.Remove(path+".other"))
	_, err := Examine(path)
	require.NoError(t, err)

	put(t, path+"-wal", "x")
	require.NoError(t, os.Link(path+"-wal", path+".other"))
	_, err = Examine(path)
	require.ErrorIs(t, err, ErrUnfit)
	require.ErrorContains(t, err, "x.db-wal")
}

func TestAFolderBesideTheFileIsUnfit(t *testing.T) {
	for _, suffix := range suffixes {
		path := filepath.Join(t.TempDir(), "x.db")
		put(t, path, "x")
		require.NoError(t, os.Mkdir(path+suffix, 0o700))
		_, err := Examine(path)
		require.ErrorIs(t, err, ErrUnfit, suffix)
		require.ErrorIs(t, CheckJournals(path, nil), ErrUnfit, suffix)
		require.ErrorContains(t, err, "x.db"+suffix)
	}
}

func TestAFileIsItselfWhateverItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	put(t, path, "x")
	file, err := Examine(path)
	require.NoError(t, err)
	require.NoError(t, file.At(path))

	require.NoError(t, os.Rename(path, path+".old"))
	require.ErrorIs(t, file.At(path), ErrReplaced, "it is gone")
	require.NoError(t, file.At(path+".old"))
	put(t, path, "x")
	require.ErrorIs(t, file.At(path), ErrReplaced)
	require.NoError(t, os.Remove(path))
	if os.Symlink(path+".old", path) == nil {
		require.ErrorIs(t, file.At(path), ErrReplaced, "its journals would lie beside the other name")
		_, err = Examine(path)
		require.ErrorIs(t, err, ErrReplaced, "the path was resolved before")
		require.NoError(t, os.Remove(path))
	}
	require.NoError(t, os.Rename(path+".old", path))
	require.NoError(t, file.At(path))
}
