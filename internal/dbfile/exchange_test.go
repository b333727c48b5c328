package dbfile

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// exchanging makes a folder with files beside x.db, and a workspace in which there is a new one.
func exchanging(t *testing.T, content map[string]string) (path string, work *Workspace, made os.FileInfo) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "x.db")
	for suffix, text := range content {
		put(t, path+suffix, text)
	}
	work, err := NewWorkspace(filepath.Dir(path), "test")
	require.NoError(t, err)
	f, err := work.Create()
	require.NoError(t, err)
	_, err = f.WriteString("new")
	require.NoError(t, err)
	made, err = f.Stat()
	require.NoError(t, err)
	require.NoError(t, f.Close())
	require.NoError(t, work.Finish(made, nil))
	return path, work, made
}

// texts reads all files of a folder.
func texts(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range entries(t, dir) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		found[name] = string(text)
	}
	return found
}

func TestAnExchangeKeepsWhatHoldsSomething(t *testing.T) {
	nowhere := errors.New("stopped")
	for _, c := range []struct {
		name        string
		before      map[string]string
		want, after map[string]string // after: an exchange that was stopped last of all
	}{
		{"nothing", map[string]string{}, map[string]string{"x.db": "new"}, map[string]string{}},
		{"file", map[string]string{"": "old"}, map[string]string{"x.db": "new", "kept": "old"}, map[string]string{"x.db": "old"}},
		{"all", map[string]string{"": "old", "-wal": "w", "-shm": "s", "-journal": "j"},
			map[string]string{"x.db": "new", "kept": "old", "kept-wal": "w", "kept-journal": "j"},
			map[string]string{"x.db": "old", "x.db-wal": "w", "x.db-journal": "j"}},
		{"litter", map[string]string{"": "old", "-wal": "", "-shm": "s", "-journal": ""},
			map[string]string{"x.db": "new", "kept": "old"}, map[string]string{"x.db": "old"}},
		{"no file", map[string]string{"-wal": "w"}, map[string]string{"x.db": "new", "kept-wal": "w"}, map[string]string{"x.db-wal": "w"}},
	} {
		path, work, made := exchanging(t, c.before)
		old, _, err := Find(path)
		require.NoError(t, err, c.name)
		err = Exchange(path, "kept", old, work, made, func(step string) error {
			if step == "put the new file there" {
				return nowhere
			}
			return nil
		})
		require.ErrorIs(t, err, nowhere, c.name)
		require.NotErrorIs(t, err, ErrHalfway, c.name)
		require.NoError(t, work.Remove())
		require.Equal(t, c.after, texts(t, filepath.Dir(path)), c.name)

		path, work, made = exchanging(t, c.before)
		old, _, err = Find(path)
		require.NoError(t, err, c.name)
		require.NoError(t, Exchange(path, "kept", old, work, made, func(string) error { return nil }), c.name)
		require.NoError(t, work.Remove())
		require.Equal(t, c.want, texts(t, filepath.Dir(path)), c.name)
	}
}

func TestAnExchangeOverwritesNothing(t *testing.T) {
	for _, taken := range []string{"kept", "kept-wal"} {
		path, work, made := exchanging(t, map[string]string{"": "old", "-wal": "w"})
		put(t, filepath.Join(filepath.Dir(path), taken), "precious")
		old, _, err := Find(path)
		require.NoError(t, err)
		err = Exchange(path, "kept", old, work, made, func(string) error { return nil })
		require.ErrorIs(t, err, os.ErrExist)
		require.NotErrorIs(t, err, ErrHalfway)
		require.NoError(t, work.Remove())
		require.Equal(t, map[string]string{"x.db": "old", "x.db-wal": "w", taken: "precious"}, texts(t, filepath.Dir(path)))
	}
	// Somebody makes a file while there is none.
	path, work, made := exchanging(t, map[string]string{"": "old"})
	old, _, err := Find(path)
	require.NoError(t, err)
	err = Exchange(path, "kept", old, work, made, func(step string) error {
		if step == "put the new file there" {
			put(t, path, "somebody's")
		}
		return nil
	})
	require.ErrorIs(t, err, os.ErrExist)
	require.ErrorIs(t, err, ErrHalfway)
	require.NoError(t, work.Remove())
	require.Equal(t, map[string]string{"x.db": "somebody's", "kept": "old"}, texts(t, filepath.Dir(path)))
}

func TestAFileThatTookTheOldOnesPlaceIsNotMoved(t *testing.T) {
	path, work, made := exchanging(t, map[string]string{"": "old"})
	old, _, err := Find(path)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path, path+".moved"))
	put(t, path, "another")
	err = Exchange(path, "kept", old, work, made, func(string) error { return nil })
	require.ErrorIs(t, err, ErrReplaced)
	require.NoError(t, work.Remove())
	require.Equal(t, map[string]string{"x.db": "another", "x.db.moved": "old"}, texts(t, filepath.Dir(path)))
}
