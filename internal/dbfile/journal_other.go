//go:build !unix && !windows

package dbfile

import "os"

// openJournal opens a file to read it.
func openJournal(name string) (*os.File, error) { return os.Open(name) }
