// Package formatreader reads registries as docs/format.md describes them: with SQL and cryptographic primitives, without
// this module's other packages and without Tink. It shows that the page is complete, and that the registry writes what the
// page says. It is for tests: it reads a whole file into memory, and its errors quote nothing.
//
// The files follow the page: file.go is its section "The file", kek.go, keyset.go and protobuf.go are "The keyset", value.go
// and cipher.go are "Values", oxide.go is "oxide-k".
package formatreader

import "errors"

// The ways in which a file is not what it should be.
var (
	// ErrNotRegistry is returned for a file that is no registry at all.
	ErrNotRegistry = errors.New("not a registry")
	// ErrNewer is returned for what a newer program wrote: the file, its keyset or one value.
	ErrNewer = errors.New("written by a newer program")
	// ErrEncrypted is returned by Read for an encrypted registry, and for a value that is encrypted in one that is not.
	ErrEncrypted = errors.New("it is encrypted")
	// ErrNotEncrypted is returned by ReadEncrypted for a registry without a keyset.
	ErrNotEncrypted = errors.New("it is not encrypted")
	// ErrWrongKey is returned where the keyset does not open, or is not in its form.
	ErrWrongKey = errors.New("the keyset does not open")
	// ErrValue is returned for a value that is not in its form, or does not open.
	ErrValue = errors.New("the value does not open")
	// ErrRow is returned for a row that is not in its form otherwise.
	ErrRow = errors.New("the row is damaged")
)
