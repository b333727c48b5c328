//go:build !linux

package dbfile

import "os"

// isUnlocked does not know, and says no.
func isUnlocked(string, os.FileInfo) bool { return false }
