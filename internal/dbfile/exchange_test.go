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

// A rename may have happened that returned an error, or been undone by somebody: then it is not certain which file is there.
func TestAnExchangeThatIsUndoneSaysWhatIsThere(t *testing.T) {
	stopped := errors.New("stopped")
	for _, c := range []struct {
		name     string
		before   map[string]string
		at       string
		meddle   func(path string) error
		after    map[string]string
		halfway  bool
		replaced bool
	}{
		{"the old file is elsewhere", map[string]string{"": "old"}, "clear -journal",
			func(path string) error {
				kept := filepath.Join(filepath.Dir(path), "kept")
				return errors.Join(os.Rename(kept, path+".moved"), os.WriteFile(kept, []byte("another"), 0o600))
			}, map[string]string{"x.db": "another", "x.db.moved": "old"}, true, true},
		{"the old file was put back", map[string]string{"": "old", "-wal": "w"}, "put the new file there",
			func(path string) error { return os.Rename(filepath.Join(filepath.Dir(path), "kept"), path) },
			map[string]string{"x.db": "old", "kept-wal": "w"}, true, true},
		{"a journal does not go to another file", map[string]string{"-wal": "w"}, "put the new file there",
			func(path string) error { return os.WriteFile(path, []byte("another"), 0o600) },
			map[string]string{"x.db": "another", "kept-wal": "w"}, true, true},
		{"another file where none was", map[string]string{}, "put the new file there",
			func(path string) error { return os.WriteFile(path, []byte("another"), 0o600) },
			map[string]string{"x.db": "another"}, false, false},
		{"nothing", map[string]string{"": "old", "-wal": "w"}, "put the new file there", func(string) error { return nil },
			map[string]string{"x.db": "old", "x.db-wal": "w"}, false, false},
	} {
		path, work, made := exchanging(t, c.before)
		old, _, err := Find(path)
		require.NoError(t, err, c.name)
		err = Exchange(path, "kept", old, work, made, func(step string) error {
			if step == c.at {
				return errors.Join(stopped, c.meddle(path))
			}
			return nil
		})
		require.ErrorIs(t, err, stopped, c.name)
		require.Equal(t, c.halfway, errors.Is(err, ErrHalfway), c.name)
		require.Equal(t, c.replaced, errors.Is(err, ErrReplaced), c.name)
		require.NoError(t, work.Remove())
		require.Equal(t, c.after, texts(t, filepath.Dir(path)), c.name)
	}
	// The new file is there, whatever the rename said.
	path, work, made := exchanging(t, map[string]string{})
	err := Exchange(path, "kept", nil, work, made, func(step string) error {
		if step == "put the new file there" {
			return errors.Join(stopped, os.Rename(work.Path(), path))
		}
		return nil
	})
	require.ErrorIs(t, err, ErrHalfway)
	require.NoError(t, work.Remove())
}
