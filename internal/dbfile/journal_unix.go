//go:build unix

package dbfile

import (
	"os"
	"syscall"
)

// openJournal opens a file to read it. It follows no symlink, and does not wait for the other end of a FIFO.
func openJournal(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
}
