//go:build unix

package dbfile

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// What took the journal's place since it was looked at is neither waited for nor followed.
func TestWhatTookAJournalsPlaceIsNotOpened(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"FIFO":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"symlink": func(path string) error { return os.Symlink(path+".old", path) },
		"folder":  func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db-journal")
			put(t, path, journalMagic+"x")
			info, err := os.Lstat(path)
			require.NoError(t, err)
			require.NoError(t, os.Rename(path, path+".old"))
			require.NoError(t, plant(path))
			_, err = readJournal(path, info)
			require.Error(t, err)
			require.ErrorIs(t, checkPlayback("-journal", path, info), ErrUnfit)
		})
	}
}
