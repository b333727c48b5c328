//go:build !unix

package tests

// makePipe makes a named pipe, and reports whether this system has any.
func makePipe(string) (bool, error) { return false, nil }

// clearUmask does nothing: there is no umask here.
func clearUmask() {}
