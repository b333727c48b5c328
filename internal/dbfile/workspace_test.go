package dbfile

import (
	"crypto/rand"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// entries lists the names in a folder.
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

// leftover makes a folder with the name of a workspace, and returns its path and that of the file in it, which is not made.
func leftover(t *testing.T, dir, purpose string, mode os.FileMode) (folder, file string) {
	t.Helper()
	name := workPrefix + purpose + "-" + rand.Text()
	require.NoError(t, os.Mkdir(filepath.Join(dir, name), mode))
	return filepath.Join(dir, name), filepath.Join(dir, name, workFile(name))
}

// Only what is exactly a workspace of this user's, and has no maker, is swept.
func TestASweepTouchesNothingElse(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	name := workPrefix + "link-" + rand.Text()
	if err := os.Symlink(elsewhere, filepath.Join(dir, name)); err != nil {
		t.Skipf("no symlinks here: %v", err)
	}
	precious := []string{filepath.Join(elsewhere, workFile(name)), filepath.Join(dir, workPrefix+"file-"+rand.Text())}
	in := func(name, file string) string {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o700))
		return filepath.Join(dir, name, file)
	}
	text := rand.Text()
	precious = append(precious,
		in("other-"+text, "database-"+text),
		in(workPrefix+"test", "database-test"), // no random text
		in(workPrefix+"test-notes", "database-notes"),
		in(workPrefix+"test-"+strings.ToLower(text), "database-"+strings.ToLower(text)))
	if runtime.GOOS != "windows" { // which has no such permissions
		_, public := leftover(t, dir, "public", 0o755)
		precious = append(precious, public)
	}
	for _, path := range precious {
		put(t, path, "precious")
	}
	_, linked := leftover(t, dir, "linked", 0o700)
	require.NoError(t, os.Symlink(precious[0], linked))
	_, nested := leftover(t, dir, "nested", 0o700)
	require.NoError(t, os.Mkdir(nested, 0o700))
	precious = append(precious, linked)
	before := entries(t, dir)

	work, err := NewWorkspace(dir, "test")
	require.NoError(t, err)
	require.NoError(t, work.Remove())
	require.Equal(t, before, entries(t, dir))
	for _, path := range precious {
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "precious", string(content), path)
	}
}

// In a folder without the sticky bit others can give a private folder of this user's any name, and nothing to what is in it.
func TestAFolderThatWasRenamedToALeftoverIsNotSwept(t *testing.T) {
	another := workFile(workPrefix + "backup-" + rand.Text())
	for _, file := range []string{"database", "database-wal", "state.db", another, another + "-journal"} {
		for _, name := range []string{"AAAA", "database", rand.Text()} {
			dir := t.TempDir()
			renamed := filepath.Join(dir, workPrefix+"backup-"+name)
			require.NoError(t, os.Mkdir(renamed, 0o700))
			put(t, filepath.Join(renamed, file), "precious")
			work, err := NewWorkspace(dir, "backup")
			require.NoError(t, err)
			require.NoError(t, work.Remove())
			require.FileExists(t, filepath.Join(renamed, file))
		}
	}
}

// What a killed maker left at any point of its work goes.
func TestALeftoverIsSweptWhateverIsInIt(t *testing.T) {
	for _, present := range [][]string{nil, {""}, {"", "-journal"}, {"", "-wal", "-shm"}, {"-journal"}} {
		dir := t.TempDir()
		_, file := leftover(t, dir, "backup", 0o700)
		for _, suffix := range present {
			put(t, file+suffix, "unfinished")
		}
		work, err := NewWorkspace(dir, "test")
		require.NoError(t, err)
		require.NoError(t, work.Remove())
		if canLock(t, dir) {
			require.Empty(t, entries(t, dir), present)
		}
	}
}

// canLock reports whether a folder's lock tells here that the maker of a workspace lives.
func canLock(t *testing.T, dir string) bool {
	t.Helper()
	f, err := os.Open(dir)
	require.NoError(t, err)
	defer f.Close()
	return lock(f) == nil
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
