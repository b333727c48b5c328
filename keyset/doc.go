// Package keyset is the keys of an encrypted registry: the keyset that values are encrypted under, and the
// key-encryption key (KEK) that wraps it.
//
// Users of a registry need the KEKs, for registry.OpenEncrypted:
//
//	Passphrase(text)      something that a person or a file remembers; costs time and memory on purpose
//	FromEnv()             a passphrase in an environment variable
//	RawKey(key)           32 random bytes that something else keeps
//	AEAD(name, a)         a KMS, a Vault, a Tink keyset of your own: anything that encrypts and decrypts
//	AEADWithContext(…)    the same, for what takes contexts only
//
// Losing the KEK is losing the values: there is no way back without it. A registry's keyset can be wrapped under another
// KEK at any time (Registry.Rewrap), and its keys replaced (Registry.RotateKeyset); if one of them may be known to somebody else,
// both are replaced at once (Registry.Rekey). [Template] chooses the algorithm.
//
// A [Handle] and a [Wrapper] are what the registry works with: an immutable Tink keyset, and a KEK made ready to wrap one.
// Nothing in this package prints key material, whatever the verb.
package keyset

import "errors"

var (
	// ErrKEK is returned for a KEK that cannot exist: an empty passphrase, a raw key of another size, an unset variable.
	ErrKEK = errors.New("unusable key-encryption key")
	// ErrWrongKEK is returned where a KEK does not open a wrapped keyset: it is another one, or what is stored was
	// tampered with. An AEAD's own error is wrapped too.
	ErrWrongKEK = errors.New("the key-encryption key does not open the keyset")
	// ErrTemplate is returned for a template that is none of this package's.
	ErrTemplate = errors.New("unknown key template")
	// ErrUnsupported is returned for a keyset that the KEK opened, and which holds keys of another kind.
	ErrUnsupported = errors.New("the keyset holds a key that this program does not know")
)
