package dbfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAHotJournalThatNamesAnotherIsUnfit(t *testing.T) {
	body := journalMagic + strings.Repeat("x", 504)
	for _, c := range []struct {
		name, suffix, content string
		want                  error
	}{
		{"hot", "-journal", body, nil},
		{"hot, of several databases", "-journal", body + journalMagic, ErrUnfit},
		{"no more than the magic", "-journal", journalMagic, ErrUnfit},
		{"ended, of several databases", "-journal", "\x00" + body[1:] + journalMagic, nil},
		{"ends with a part of the magic", "-journal", body + journalMagic[:7], nil},
		{"shorter than the magic", "-journal", journalMagic[1:], nil},
		{"empty", "-journal", "", nil},
		{"WAL", "-wal", body + journalMagic, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			put(t, path, "x")
			put(t, path+c.suffix, c.content)
			_, err := Examine(path)
			require.ErrorIs(t, err, c.want)
			require.ErrorIs(t, CheckJournals(path, nil), c.want)
			if c.want != nil {
				require.ErrorContains(t, err, "x.db-journal names another journal")
			}
		})
	}
}

// Another program's transactions end, and begin, while its journal is looked at.
func TestAJournalThatIsExchangedIsLookedAtAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db-journal")
	put(t, path, journalMagic+"x")
	info, err := os.Lstat(path)
	require.NoError(t, err)
	os.SameFile(info, info) // Windows looks at the file now

	require.NoError(t, os.Rename(path, path+".old")) // which keeps its number from being used again
	require.NoError(t, checkPlayback("-journal", path, info), "it is gone")
	put(t, path, journalMagic+"x")
	_, err = readJournal(path, info)
	require.ErrorIs(t, err, ErrReplaced)
	require.NoError(t, checkPlayback("-journal", path, info))
	put(t, path, "x"+journalMagic)
	require.ErrorIs(t, checkPlayback("-journal", path, info), ErrUnfit)
}
