// Package kdf turns a passphrase into a key with Argon2id (RFC 9106), and reads and writes what is stored beside what the key
// protects: the parameters, the salt, and a commitment to the key.
//
// The commitment is there because an AEAD does not commit to its key: one crafted ciphertext can open under many keys, and so
// tell whether a passphrase is among an attacker's guesses (Len, Grubbs, Ristenpart: Partitioning Oracle Attacks, USENIX Security
// 2021). Argon2id derives 64 bytes. The first 32 are the key, the others are stored and compared before the key is used, so one
// file stands for one passphrase. They tell nothing about the key, which is another part of the same hash.
//
// A file may come from an attacker: parameters are checked against bounds before they cost any memory or time.
package kdf

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// Sizes in bytes of what is derived.
const (
	KeySize        = 32
	CommitmentSize = 32
)

// saltSize is the size of a new salt in bytes, as RFC 9106 section 3.1 recommends.
const saltSize = 16

// The bounds within which stored parameters are used. Those of time and memory begin where the caller's own cost is.
const (
	maxTime      = 10
	maxThreads   = 16
	minMemoryKiB = 8 << 10
	maxMemoryKiB = 256 << 10
	minSalt      = 16
	maxSalt      = 64
)

var (
	// ErrParams is returned for parameters that are malformed, or outside of the bounds.
	ErrParams = errors.New("bad Argon2id parameters")
	// ErrPassphrase is returned for a passphrase that is not the one that was committed to.
	ErrPassphrase = errors.New("another passphrase")
)

// Cost is what deriving a key costs.
type Cost struct {
	Time      uint32 // passes over the memory, 1 to 10
	MemoryKiB uint32 // 8 MiB to 256 MiB
	Threads   uint8  // lanes, 1 to 16
}

// DefaultCost returns RFC 9106's recommendation for where 2 GiB are too much (section 4): 3 passes, 64 MiB, 4 lanes.
func DefaultCost() Cost { return Cost{Time: 3, MemoryKiB: 64 << 10, Threads: 4} }

// Check returns ErrParams if the cost is out of bounds.
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

// checkLeast returns ErrParams if c is cheaper than least. Lanes are free: they say how the work is spread, not how much it is.
func (c Cost) checkLeast(least Cost) error {
	switch {
	case c.Time < least.Time:
		return fmt.Errorf("%w: %d passes, want at least %d", ErrParams, c.Time, least.Time)
	case c.MemoryKiB < least.MemoryKiB:
		return fmt.Errorf("%w: %d KiB of memory, want at least %d", ErrParams, c.MemoryKiB, least.MemoryKiB)
	}
	return nil
}

// Params are a cost, a salt, and the commitment to the key that a passphrase gives with them.
type Params struct {
	Cost
	salt       []byte
	commitment []byte
}

// New derives a key from a passphrase, with a fresh random salt. It returns ErrParams if the cost is out of bounds. It takes the
// time and the memory that the cost says, and waits for other derivations of this process: ctx ends the waiting only.
func New(ctx context.Context, passphrase string, c Cost) (p Params, key []byte, err error) {
	if err := c.Check(); err != nil {
		return Params{}, nil, err
	}
	p = Params{Cost: c, salt: make([]byte, saltSize)}
	_, _ = rand.Read(p.salt) // never fails (crypto/rand)
	key, p.commitment, err = p.derive(ctx, passphrase)
	return p, key, err
}

// Parse reads what String wrote, and nothing else. It returns ErrParams for another spelling of the same parameters, for
// parameters outside of the bounds, and for a cost below least in time or memory.
func Parse(text string, least Cost) (Params, error) {
	var p Params
	var rest string
	_, err := fmt.Sscanf(text, "$argon2id$v=19$m=%d,t=%d,p=%d$%s", &p.MemoryKiB, &p.Time, &p.Threads, &rest)
	salt, commitment, two := strings.Cut(rest, "$")
	if err != nil || !two {
		return Params{}, fmt.Errorf("%w: not in their form", ErrParams)
	}
	if p.salt, err = base64.RawStdEncoding.DecodeString(salt); err != nil {
		return Params{}, fmt.Errorf("%w: the salt is not base64", ErrParams)
	}
	if p.commitment, err = base64.RawStdEncoding.DecodeString(commitment); err != nil {
		return Params{}, fmt.Errorf("%w: the commitment is not base64", ErrParams)
	}
	switch {
	case p.String() != text:
		return Params{}, fmt.Errorf("%w: not in their form", ErrParams)
	case len(p.salt) < minSalt || len(p.salt) > maxSalt:
		return Params{}, fmt.Errorf("%w: a salt of %d bytes, want %d to %d", ErrParams, len(p.salt), minSalt, maxSalt)
	case len(p.commitment) != CommitmentSize:
		return Params{}, fmt.Errorf("%w: a commitment of %d bytes, want %d", ErrParams, len(p.commitment), CommitmentSize)
	}
	if err := p.Check(); err != nil {
		return Params{}, err
	}
	return p, p.checkLeast(least)
}

// String returns the parameters in the PHC string format, with the commitment in the place of the hash:
// $argon2id$v=19$m=65536,t=3,p=4$<salt, base64>$<commitment, base64> (github.com/P-H-C/phc-string-format).
func (p Params) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.MemoryKiB, p.Time, p.Threads,
		base64.RawStdEncoding.EncodeToString(p.salt), base64.RawStdEncoding.EncodeToString(p.commitment))
}

// Key derives the key, of KeySize bytes, and returns ErrPassphrase unless it is the one that p commits to. It takes the time and
// the memory that the parameters say, and waits for other derivations of this process: ctx ends the waiting only.
func (p Params) Key(ctx context.Context, passphrase string) ([]byte, error) {
	key, commitment, err := p.derive(ctx, passphrase)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare(commitment, p.commitment) != 1 {
		return nil, ErrPassphrase
	}
	return key, nil
}

// deriving holds a token while a key is derived: one at a time in a process. A derivation cannot be interrupted, and takes up to
// 256 MiB. Callers that give up, and parameters that somebody puts into a file again and again, must not add up to more.
var deriving = make(chan struct{}, 1)

func (p Params) derive(ctx context.Context, passphrase string) (key, commitment []byte, err error) {
	select {
	case deriving <- struct{}{}:
		defer func() { <-deriving }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	derived := argon2.IDKey([]byte(passphrase), p.salt, p.Time, p.MemoryKiB, p.Threads, KeySize+CommitmentSize)
	return bytes.Clone(derived[:KeySize]), bytes.Clone(derived[KeySize:]), nil
}
