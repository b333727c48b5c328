//go:build unix

package dbfile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Where a database is missing, what its folder's owner left counts for a restore, and for nobody who would play it back.
func TestWhatTheFoldersOwnerLeftBesideAMissingFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const service, mallory = 4001, 4002
	for _, c := range []struct {
		name          string
		folder, owner int
		fit           bool
	}{
		{"root's", service, 0, true},
		{"the service's", service, service, true},
		{"a stranger's", service, mallory, false},
		{"a stranger's in root's folder", 0, mallory, false},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.db")
		require.NoError(t, os.Chmod(dir, 0o777), "whoever may write the folder may not write the file")
		require.NoError(t, os.Chown(dir, c.folder, c.folder))
		for _, suffix := range []string{"-wal", MarkerSuffix} {
			put(t, path+suffix, "x")
			require.NoError(t, os.Chown(path+suffix, c.owner, c.owner))
		}
		_, filled, err := Find(path)
		if marked := CheckMarker(path, nil); c.fit {
			require.NoError(t, err, c.name)
			require.Equal(t, []string{path + "-wal"}, filled, c.name)
			require.ErrorIs(t, marked, ErrRestoring, c.name)
		} else {
			require.ErrorIs(t, err, ErrUnfit, c.name)
			require.ErrorIs(t, marked, ErrUnfit, c.name)
		}
		_, err = Examine(path)
		if c.owner == 0 {
			require.ErrorIs(t, err, ErrTorn, c.name)
		} else {
			require.ErrorIs(t, err, ErrUnfit, c.name)
		}
	}
}

func TestAFileIsMadeHereByItsOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const service = 4001
	for _, c := range []struct {
		folder, file int
		want         bool
	}{{0, 0, true}, {service, 0, true}, {service, service, true}, {0, service, false}, {4002, service, false}} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.db")
		put(t, path, "x")
		require.NoError(t, os.Chown(path, c.file, c.file))
		require.NoError(t, os.Chown(dir, c.folder, c.folder))
		file, _, err := Find(path)
		require.NoError(t, err)
		made, err := file.IsMadeHere(dir)
		require.NoError(t, err)
		require.Equal(t, c.want, made, "%v", c)
	}
}
