package dbfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// entries are the names in a folder.
func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	found, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range found {
		names = append(names, entry.Name())
	}
	return names
}

func TestAFileIsMadeInPrivateAndPublishedUnderAFreeName(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "taken"), "precious")
	work, err := NewWorkspace(dir, "test")
	require.NoError(t, err)
	f, err := work.Create()
	require.NoError(t, err)
	require.NoError(t, work.Holds(f))
	_, err = f.WriteString("content")
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, f.Close())

	_, err = work.Publish(info, "taken")
	require.ErrorIs(t, err, fs.ErrExist)
	require.ErrorContains(t, err, filepath.Join(dir, "taken"))
	file, err := work.Publish(info, "name")
	require.NoError(t, err)
	require.NoError(t, file.At(filepath.Join(dir, "name")))
	require.NoError(t, work.Remove())
	require.Equal(t, []string{"name", "taken"}, entries(t, dir))
	names, err := links(filepath.Join(dir, "name"), file.info)
	require.NoError(t, err)
	require.EqualValues(t, 1, names)
}

func TestWhatElseGotIntoAWorkspaceIsNotPublished(t *testing.T) {
	dir := t.TempDir()
	work, err := NewWorkspace(dir, "test")
	require.NoError(t, err)
	f, err := work.Create()
	require.NoError(t, err)
	defer f.Close()
	info, err := f.Stat()
	require.NoError(t, err)
	require.NoError(t, os.Remove(work.Path()))
	put(t, work.Path(), "something else")
	require.ErrorIs(t, work.Holds(f), ErrReplaced)
	_, err = work.Publish(info, "name")
	require.ErrorIs(t, err, ErrReplaced)
	require.NoError(t, work.Remove())
	require.Empty(t, entries(t, dir))
}

func TestAWorkspaceWithStrangersFilesStays(t *testing.T) {
	dir := t.TempDir()
	work, err := NewWorkspace(dir, "test")
	require.NoError(t, err)
	put(t, filepath.Join(filepath.Dir(work.Path()), "notes"), "precious")
	require.Error(t, work.Remove())
	other, err := NewWorkspace(dir, "test") // which sweeps
	require.NoError(t, err)
	require.NoError(t, other.Remove())
	require.Len(t, entries(t, dir), 1)
	require.FileExists(t, filepath.Join(filepath.Dir(work.Path()), "notes"))
}

// Only what is exactly a workspace of this user's, and has no maker, is swept.
func TestASweepTouchesNothingElse(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	put(t, filepath.Join(dir, workPrefix+"file"), "precious")
	put(t, filepath.Join(elsewhere, workFile), "precious")
	if err := os.Symlink(elsewhere, filepath.Join(dir, workPrefix+"link")); err != nil {
		t.Skipf("no symlinks here: %v", err)
	}
	mine := func(name string, mode os.FileMode) string {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), mode))
		return filepath.Join(dir, name)
	}
	put(t, filepath.Join(mine("other-folder", 0o700), workFile), "precious")
	put(t, filepath.Join(mine(workPrefix+"public", 0o755), workFile), "precious")
	require.NoError(t, os.Symlink(filepath.Join(elsewhere, workFile), filepath.Join(mine(workPrefix+"linked", 0o700), workFile)))
	require.NoError(t, os.Mkdir(filepath.Join(mine(workPrefix+"nested", 0o700), workFile), 0o700))
	before := entries(t, dir)

	work, err := NewWorkspace(dir, "test")
	require.NoError(t, err)
	require.NoError(t, work.Remove())
	require.Equal(t, before, entries(t, dir))
	for _, path := range []string{
		filepath.Join(dir, workPrefix+"file"), filepath.Join(elsewhere, workFile), filepath.Join(dir, "other-folder", workFile),
		filepath.Join(dir, workPrefix+"public", workFile), filepath.Join(dir, workPrefix+"linked", workFile),
	} {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "precious", string(content), path)
	}
}

func TestAWorkspaceNeedsItsFolder(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "missing")
	_, err := NewWorkspace(dir, "test")
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, dir)
}

// Many make, and so sweep, in one folder at the same time: none takes another's workspace for a leftover.
func TestMakersAtTheSameTimeLeaveEachOtherAlone(t *testing.T) {
	dir := t.TempDir()
	const makers, each = 8, 40
	failed := make(chan error, makers)
	for range makers {
		go func() {
			failed <- func() error {
				for range each {
					work, err := NewWorkspace(dir, "test")
					if err != nil {
						return err
					}
					f, err := work.Create()
					if err != nil {
						return err
					}
					if err := work.Holds(f); err != nil {
						return err
					}
					if err := f.Close(); err != nil {
						return err
					}
					if err := work.Remove(); err != nil {
						return err
					}
				}
				return nil
			}()
		}()
	}
	for range makers {
		require.NoError(t, <-failed)
	}
	require.False(t, slices.ContainsFunc(entries(t, dir), func(string) bool { return true }), "nothing is left")
}
