package dbfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// renamings are the ways to rename that this system has.
var renamings = map[string]renaming{"at once": renameExclusive, "over a placeholder": renameOverPlaceholder, "either": renameNew}

func TestARenameTakesNoNameThatIsTaken(t *testing.T) {
	for how, rename := range renamings {
		t.Run(how, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Mkdir(filepath.Join(dir, "from"), 0o700))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "to"), 0o700))
			require.NoError(t, os.Mkdir(filepath.Join(dir, "to", "folder"), 0o700))
			source, err := os.OpenRoot(filepath.Join(dir, "from"))
			require.NoError(t, err)
			defer source.Close()
			target, err := os.OpenRoot(filepath.Join(dir, "to"))
			require.NoError(t, err)
			defer target.Close()
			put(t, filepath.Join(dir, "to", "file"), "precious")
			put(t, filepath.Join(dir, "to", "empty"), "")
			taken := []string{"file", "empty", "folder"}
			if os.Symlink("missing", filepath.Join(dir, "to", "dangling")) == nil {
				taken = append(taken, "dangling")
			}
			put(t, filepath.Join(dir, "from", "new"), "content")
			for _, name := range taken {
				err := rename(source, "new", target, name)
				if errors.Is(err, errors.ErrUnsupported) {
					t.Skip("not on this file system")
				}
				require.ErrorIs(t, err, fs.ErrExist, name)
			}
			require.NoError(t, rename(source, "new", target, "name"))
			require.NoFileExists(t, filepath.Join(dir, "from", "new"))
			content, err := os.ReadFile(filepath.Join(dir, "to", "name"))
			require.NoError(t, err)
			require.Equal(t, "content", string(content))
			content, err = os.ReadFile(filepath.Join(dir, "to", "file"))
			require.NoError(t, err)
			require.Equal(t, "precious", string(content))
			require.NoFileExists(t, filepath.Join(dir, "to", "missing"), "no link is followed")

			require.ErrorIs(t, rename(source, "none", target, "other"), fs.ErrNotExist)
			require.NoFileExists(t, filepath.Join(dir, "to", "other"), "no placeholder stays")
		})
	}
}
