//go:build unix

package tests

import "syscall"

// makePipe makes a named pipe, and reports whether this system has any.
func makePipe(path string) (bool, error) { return true, syscall.Mkfifo(path, 0o600) }

// clearUmask lets the process give any permission to the files that it makes.
func clearUmask() { syscall.Umask(0) }
