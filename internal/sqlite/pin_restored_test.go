package sqlite

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/internal/dbfile"
)

// An opening looks for the file while a restore has moved it away, and for the restore's marker when the restore has ended.
func TestAFileIsNotMissingThatWasRestoredBetweenTwoLooks(t *testing.T) {
	for name, wal := range map[string]string{"the file": "", "the file, and its WAL not yet": "commits"} {
		path := filepath.Join(t.TempDir(), "x.db")
		require.NoError(t, os.WriteFile(path+dbfile.MarkerSuffix, []byte("{}"), 0o600))
		require.NoError(t, os.WriteFile(path+"-wal", []byte(wal), 0o600))
		l, err := Locate(path)
		require.NoError(t, err)
		looks := 0
		file, err := l.examine(func(path string) (*dbfile.File, error) {
			file, err := dbfile.Examine(path)
			if looks++; looks == 1 {
				require.Nil(t, file, name)
				require.NoError(t, os.Remove(path+"-wal"))
				require.NoError(t, os.WriteFile(path, []byte("restored"), 0o600))
				require.NoError(t, os.Remove(path+dbfile.MarkerSuffix))
			}
			return file, err
		})
		require.NoError(t, err, name)
		require.NotNil(t, file, name)
		require.NoError(t, file.At(path), name)
	}
}

func TestWhatIsMissingOrTornIsSo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	l, err := Locate(path)
	require.NoError(t, err)
	exists, err := l.Examine()
	require.NoError(t, err)
	require.False(t, exists)
	for _, empty := range []bool{false, true} {
		require.NoError(t, os.WriteFile(path+"-wal", []byte("commits"), 0o600))
		if empty {
			require.NoError(t, os.WriteFile(path, nil, 0o600))
		}
		exists, err = l.Examine()
		require.ErrorIs(t, err, dbfile.ErrTorn)
		require.False(t, exists)
	}
	require.NoError(t, os.WriteFile(path+dbfile.MarkerSuffix, []byte("{}"), 0o600))
	_, err = l.Examine()
	require.ErrorIs(t, err, dbfile.ErrRestoring)
}
