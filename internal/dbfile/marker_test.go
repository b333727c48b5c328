package dbfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAMarkerIsThereUntilItIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.db")
	require.NoError(t, CheckMarker(path, nil))
	m, content, err := TakeMarker(path, nil)
	require.NoError(t, err)
	require.Nil(t, m)
	require.Nil(t, content)

	m, err = PlaceMarker(path, []byte("first"))
	require.NoError(t, err)
	require.Equal(t, []string{"x.db-restoring"}, entries(t, dir))
	require.ErrorIs(t, CheckMarker(path, nil), ErrRestoring)
	_, err = PlaceMarker(path, []byte("second"))
	require.ErrorIs(t, err, fs.ErrExist)
	if canLock(t, dir) {
		_, _, err = TakeMarker(path, nil)
		require.ErrorIs(t, err, ErrLocked, "its restore is running")
	}
	require.NoError(t, m.Replace([]byte("third")))
	require.NoError(t, m.Leave())

	m, content, err = TakeMarker(path, nil)
	require.NoError(t, err)
	require.Equal(t, "third", string(content))
	require.NoError(t, m.Replace([]byte("fourth")))
	if canLock(t, dir) {
		_, _, err = TakeMarker(path, nil)
		require.ErrorIs(t, err, ErrLocked, "the new one is locked too")
	}
	require.NoError(t, m.Remove())
	require.Empty(t, entries(t, dir))
}

func TestAMarkerThatTookAnothersPlaceIsNotRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	m, err := PlaceMarker(path, nil)
	require.NoError(t, err)
	require.NoError(t, os.Remove(path+MarkerSuffix))
	require.ErrorIs(t, m.Remove(), fs.ErrNotExist)

	m, err = PlaceMarker(path, nil)
	require.NoError(t, err)
	require.NoError(t, os.Rename(path+MarkerSuffix, path+".moved"))
	put(t, path+MarkerSuffix, "another")
	require.ErrorIs(t, m.Remove(), ErrReplaced)
	require.FileExists(t, path+MarkerSuffix)
}

func TestAMarkerThatIsTooLongIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	put(t, path+MarkerSuffix, strings.Repeat("x", maxMarker+1))
	_, _, err := TakeMarker(path, nil)
	require.ErrorIs(t, err, ErrUnfit)
	put(t, path+MarkerSuffix, strings.Repeat("x", maxMarker))
	m, content, err := TakeMarker(path, nil)
	require.NoError(t, err)
	require.Len(t, content, maxMarker)
	require.NoError(t, m.Leave())
}

// A file may be missing that only the marker knows of.
func TestAMarkerThatIsReplacedIsNeverGone(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no folder is synced here")
	}
	path := filepath.Join(t.TempDir(), "x.db")
	m, err := PlaceMarker(path, []byte("first"))
	require.NoError(t, err)
	require.NoError(t, m.folder.Close())
	require.Error(t, m.Replace([]byte("second")), "the names cannot be made durable")
	require.Equal(t, map[string]string{"x.db-restoring": "second"}, texts(t, filepath.Dir(path)))
	_ = m.Leave()
	m, content, err := TakeMarker(path, nil)
	require.NoError(t, err)
	require.Equal(t, "second", string(content))
	require.NoError(t, m.Remove())
}

func TestAMarkerOfAMissingFileIsNotToBeRemovedFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	m, err := PlaceMarker(path, nil)
	require.NoError(t, err)
	err = CheckMarker(path, nil)
	require.ErrorIs(t, err, ErrRestoring)
	require.ErrorContains(t, err, "is missing")
	require.NotContains(t, err.Error(), "remove")
	put(t, path, "x")
	require.ErrorContains(t, CheckMarker(path, nil), "remove that file")
	require.NoError(t, m.Remove())
}

func TestAMarkerThatWasOnlyAboutToBeHoldsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	for text, isNil := range map[string]bool{placeholder: true, "": false, placeholder + "x": false, placeholder[1:]: false} {
		put(t, path+MarkerSuffix, text)
		m, content, err := TakeMarker(path, nil)
		require.NoError(t, err)
		require.NotNil(t, m)
		require.Equal(t, isNil, content == nil, text)
		require.NoError(t, m.Leave())
	}
}
