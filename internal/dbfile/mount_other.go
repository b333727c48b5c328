//go:build !linux

package dbfile

// isMount reports whether a file is mounted by itself, which only Linux can do.
func isMount(string) bool { return false }
