// Package envelope is the text form of an encrypted value, and the associated data that binds a ciphertext to its place.
// It does no cryptography and knows no key. docs/format.md describes both.
package envelope

import "errors"

var (
	// ErrMalformed is returned for text that is not the one canonical form of an envelope.
	ErrMalformed = errors.New("not the form of an encrypted value")
	// ErrVersion is returned for an envelope of a version that is not known.
	ErrVersion = errors.New("an encrypted value of an unknown version")
)
