// Package kdf turns a passphrase into a key with Argon2id (RFC 9106), and reads and writes the parameters and the salt
// that are stored beside what the key protects. A file may come from an attacker: parameters are checked against bounds
// before they cost any memory or time.
package kdf

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"

	"golang.org/x/crypto/argon2"
)

// KeySize is the size of a derived key in bytes.
const KeySize = 32

// saltSize is the size of a new salt in bytes, as RFC 9106 section 3.1 recommends.
const saltSize = 16

// The bounds within which stored parameters are used.
const (
	maxTime      = 10
	maxThreads   = 16
	minMemoryKiB = 8 << 10
	maxMemoryKiB = 256 << 10
	minSalt      = 16
	maxSalt      = 64
)

// ErrParams is returned for parameters that are malformed, or outside of the bounds.
var ErrParams = errors.New("bad Argon2id parameters")

// Cost is what deriving a key costs.
type Cost struct {
	Time      uint32 // passes over the memory, 1 to 10
	MemoryKiB uint32 // 8 MiB to 256 MiB
	Threads   uint8  // lanes, 1 to 16
}

// DefaultCost is RFC 9106's recommendation for where 2 GiB are too much (section 4): 3 passes, 64 MiB, 4 lanes.
func DefaultCost() Cost { return Cost{Time: 3, MemoryKiB: 64 << 10, Threads: 4} }

// Check returns ErrParams where the cost is out of bounds.
func (c Cost) Check() error {
	switch {
	case c.Time < 1 || c.Time > maxTime:
		return fmt.Errorf("%w: %d passes, want 1 to %d", ErrParams, c.Time, maxTime)
	case c.Threads < 1 || c.Threads > maxThreads:
		return fmt.Errorf("%w: %d lanes, want 1 to %d", ErrParams, c.Threads, maxThreads)
	case c.MemoryKiB < minMemoryKiB || c.MemoryKiB > maxMemoryKiB:
		return fmt.Errorf("%w: %d KiB of memory, want %d to %d", ErrParams, c.MemoryKiB, minMemoryKiB, maxMemoryKiB)
	}
	return nil
}

// Params are a cost and a salt.
type Params struct {
	Cost
	salt []byte
}

// New are parameters with a fresh random salt. ErrParams where the cost is out of bounds.
func New(c Cost) (Params, error) {
	p := Params{Cost: c, salt: make([]byte, saltSize)}
	_, _ = rand.Read(p.salt) // never fails (crypto/rand)
	return p, c.Check()
}

// Parse reads what String wrote, and nothing else: another spelling of the same parameters is ErrParams, and so are
// parameters outside of the bounds.
func Parse(text string) (Params, error) {
	var p Params
	var salt string
	_, err := fmt.Sscanf(text, "$argon2id$v=19$m=%d,t=%d,p=%d$%s", &p.MemoryKiB, &p.Time, &p.Threads, &salt)
	if err != nil {
		return Params{}, fmt.Errorf("%w: not in their form", ErrParams)
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(salt); err != nil {
		return Params{}, fmt.Errorf("%w: the salt is not base64", ErrParams)
	}
	if p.String() != text {
		return Params{}, fmt.Errorf("%w: not in their form", ErrParams)
	}
	if len(p.salt) < minSalt || len(p.salt) > maxSalt {
		return Params{}, fmt.Errorf("%w: a salt of %d bytes, want %d to %d", ErrParams, len(p.salt), minSalt, maxSalt)
	}
	return p, p.Check()
}

// String is the parameters in the PHC string format, without a hash: $argon2id$v=19$m=65536,t=3,p=4$<salt, base64>
// (github.com/P-H-C/phc-string-format).
func (p Params) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s",
		argon2.Version, p.MemoryKiB, p.Time, p.Threads, base64.RawStdEncoding.EncodeToString(p.salt))
}

// Key derives the key, of KeySize bytes. It takes the time and the memory that the parameters say.
func (p Params) Key(passphrase string) []byte {
	return argon2.IDKey([]byte(passphrase), p.salt, p.Time, p.MemoryKiB, p.Threads, KeySize)
}
