//go:build unix

package dbfile

import (
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatWouldHangIsUnfit(t *testing.T) {
	for name, plant := range map[string]func(path string) error{
		"FIFO":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"symlink": func(path string) error { return os.Symlink("elsewhere", path) },
		"socket": func(path string) error {
			listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
			if err == nil {
				listener.SetUnlinkOnClose(false)
				err = listener.Close()
			}
			return err
		},
	} {
		for _, suffix := range append([]string{""}, suffixes...) {
			t.Run(name+suffix, func(t *testing.T) {
				dir, err := os.MkdirTemp("", "dbfile-*") // a socket's path must be short
				require.NoError(t, err)
				defer os.RemoveAll(dir)
				path := filepath.Join(dir, "x.db")
				if suffix != "" {
					put(t, path, "x")
				}
				require.NoError(t, plant(path+suffix))
				_, err = Examine(path)
				if name == "symlink" && suffix == "" {
					require.ErrorIs(t, err, ErrReplaced)
					return
				}
				require.ErrorIs(t, err, ErrUnfit)
				require.ErrorContains(t, err, path+suffix)
				if suffix == "" {
					_, err = Resolve(path)
					require.ErrorIs(t, err, ErrUnfit)
				}
			})
		}
	}
}

func TestAJournalOfAStrangerIsUnfit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const alice, mallory = 4001, 4002
	for _, c := range []struct {
		name           string
		file           int // its owner, -1 for no file
		mode           os.FileMode
		journal, links int
		want           error
	}{
		{"its owner's", alice, 0o600, alice, 1, nil},
		{"root's", alice, 0o600, 0, 1, nil},
		{"a stranger's", alice, 0o600, mallory, 1, ErrUnfit},
		{"a stranger's, beside root's file", 0, 0o644, mallory, 1, ErrUnfit},
		{"a stranger's, beside a file for a group", alice, 0o660, mallory, 1, nil},
		{"a stranger's, beside a file for everybody", alice, 0o606, mallory, 1, nil},
		{"a stranger's, beside no file", -1, 0, mallory, 1, ErrUnfit},
		{"root's, beside no file", -1, 0, 0, 1, nil},
		{"with a second name", alice, 0o600, alice, 2, ErrUnfit},
		{"with a second name, beside a file for a group", alice, 0o660, alice, 2, nil},
	} {
		for _, suffix := range suffixes {
			t.Run(c.name+suffix, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "x.db")
				if c.file >= 0 {
					put(t, path, "x")
					require.NoError(t, os.Chmod(path, c.mode))
					require.NoError(t, os.Chown(path, c.file, -1))
				}
				put(t, path+suffix, "")
				require.NoError(t, os.Chown(path+suffix, c.journal, -1))
				if c.links > 1 {
					require.NoError(t, os.Link(path+suffix, path+".other"))
				}
				_, err := Examine(path)
				require.ErrorIs(t, err, c.want)
				file, err := find(path)
				require.NoError(t, err)
				if file == nil { // it is being made
					require.NoError(t, CheckJournals(path, nil))
					return
				}
				require.ErrorIs(t, CheckJournals(path, file), c.want)
			})
		}
	}
}

// What a stranger puts there after Examine is measured by the owner and the permissions that the file has then.
func TestAJournalOfAStrangerThatComesLaterIsUnfit(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	const alice, bob, mallory = 4001, 4002, 4003
	for _, suffix := range suffixes {
		t.Run(suffix, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			put(t, path, "x")
			require.NoError(t, os.Chown(path, alice, -1))
			file, err := Examine(path)
			require.NoError(t, err)
			check := func() error {
				now, err := file.Now(path)
				require.NoError(t, err)
				return CheckJournals(path, now)
			}
			require.NoError(t, check(), "nothing is there")
			put(t, path+suffix, "")
			require.NoError(t, check(), "root's")
			require.NoError(t, os.Chown(path+suffix, alice, -1))
			require.NoError(t, check(), "the owner's")
			require.NoError(t, os.Link(path+suffix, path+".other"))
			require.ErrorIs(t, check(), ErrUnfit, "with a second name")
			require.NoError(t, os.Remove(path+".other"))
			require.NoError(t, os.Chown(path+suffix, mallory, -1))
			require.ErrorIs(t, check(), ErrUnfit, "a stranger's")
			require.NoError(t, os.Chmod(path, 0o660))
			require.NoError(t, check(), "a group may write the file by now")
			require.NoError(t, os.Chmod(path, 0o600))
			require.NoError(t, os.Chown(path+suffix, bob, -1))
			require.ErrorIs(t, check(), ErrUnfit)
			require.NoError(t, os.Chown(path, bob, -1))
			require.NoError(t, check(), "the file is another's by now")
		})
	}
}
