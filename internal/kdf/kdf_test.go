package kdf

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// cheapest is the least that is accepted.
func cheapest() Cost { return Cost{Time: 1, MemoryKiB: minMemoryKiB, Threads: 1} }

// text is the stored form of parameters that may be out of bounds, with a salt of that many bytes.
func text(memory, time, threads uint64, salt int) string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s", memory, time, threads,
		base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, salt)))
}

// The keys are those of the reference implementation, libargon2: what was locked once opens for ever.
func TestAPassphraseGivesTheSameKeyForEver(t *testing.T) {
	for _, golden := range []struct{ passphrase, params, key string }{
		{
			"correct horse battery staple", "$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgcICQoLDA0ODw",
			"9aeef75313e585f492c33c5e12d82e9ad253b7dd78632d537e899cd4eddd789c",
		},
		{
			"correct horse battery staple", "$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw",
			"853b272a44db1421c02962669a55eb0994f3cab385ed1c4c79253eee19bab49e",
		},
		{
			"Grüße", "$argon2id$v=19$m=8193,t=2,p=16$" + strings.Repeat("/", 85) + "w",
			"b4c634298c8dc0753671626391507f44605ece8b1278f9a3bfeade2f3076cc01",
		},
	} {
		p, err := Parse(golden.params)
		require.NoError(t, err, golden.params)
		require.Equal(t, golden.key, hex.EncodeToString(p.Key(golden.passphrase)), golden.params)
	}
}

func TestTheDefaultCostIsTheSecondRecommendationOfRFC9106(t *testing.T) {
	require.Equal(t, Cost{Time: 3, MemoryKiB: 65536, Threads: 4}, DefaultCost())
	p, err := New(DefaultCost())
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}$`, p.String())
}

func TestEachNewSaltIsAnother(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		p, err := New(cheapest())
		require.NoError(t, err)
		require.Len(t, p.salt, 16)
		require.False(t, seen[string(p.salt)])
		seen[string(p.salt)] = true
	}
}

func TestWhatStringWritesParseReads(t *testing.T) {
	for _, c := range []Cost{cheapest(), DefaultCost(), {Time: maxTime, MemoryKiB: maxMemoryKiB, Threads: maxThreads}} {
		p, err := New(c)
		require.NoError(t, err)
		again, err := Parse(p.String())
		require.NoError(t, err)
		require.Equal(t, p, again)
	}
}

func TestTheKeyDependsOnAllParameters(t *testing.T) {
	keys := map[string]string{}
	for _, params := range []string{
		text(8192, 1, 1, 16), text(8193, 1, 1, 16), text(8192, 2, 1, 16), text(8192, 1, 2, 16), text(8192, 1, 1, 17),
	} {
		p, err := Parse(params)
		require.NoError(t, err, params)
		for _, passphrase := range []string{"x", "x ", "X"} {
			key := p.Key(passphrase)
			require.Len(t, key, KeySize)
			require.Empty(t, keys[string(key)])
			keys[string(key)] = params + passphrase
		}
	}
}

func TestEachBoundIsWhereItIsSaidToBe(t *testing.T) {
	inside := []string{
		text(8<<10, 1, 1, 16), text(256<<10, 1, 1, 16), text(8<<10, 10, 1, 16), text(8<<10, 1, 16, 16), text(8<<10, 1, 1, 64),
		text(256<<10, 10, 16, 64),
	}
	for _, params := range inside {
		p, err := Parse(params)
		require.NoError(t, err, params)
		require.Equal(t, params, p.String())
		_, err = New(p.Cost)
		require.NoError(t, err, params)
	}
	outside := []string{
		text(8<<10-1, 1, 1, 16), text(256<<10+1, 1, 1, 16), text(0, 1, 1, 16), text(100<<20, 1, 1, 16), // KiB: the last is 100 GiB
		text(8<<10, 0, 1, 16), text(8<<10, 11, 1, 16), text(8<<10, math.MaxUint32, 1, 16),
		text(8<<10, 1, 0, 16), text(8<<10, 1, 17, 16), text(8<<10, 1, math.MaxUint8, 16),
		text(8<<10, 1, 1, 15), text(8<<10, 1, 1, 65), text(8<<10, 1, 1, 1),
		// What a narrower integer would wrap round to something allowed.
		text(math.MaxUint32+1+8<<10, 1, 1, 16), text(8<<10, math.MaxUint32+2, 1, 16), text(8<<10, 1, 257, 16),
	}
	for _, params := range outside {
		_, err := Parse(params)
		require.ErrorIs(t, err, ErrParams, params)
	}
	for _, c := range []Cost{
		{},
		{Time: 0, MemoryKiB: 8 << 10, Threads: 1}, {Time: 11, MemoryKiB: 8 << 10, Threads: 1},
		{Time: 1, MemoryKiB: 8<<10 - 1, Threads: 1}, {Time: 1, MemoryKiB: 256<<10 + 1, Threads: 1},
		{Time: 1, MemoryKiB: 8 << 10, Threads: 0}, {Time: 1, MemoryKiB: 8 << 10, Threads: 17},
	} {
		_, err := New(c)
		require.ErrorIs(t, err, ErrParams, "%+v", c)
	}
}

// The parameters stand in a file that anybody may have written.
func TestRefusingParametersCostsNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := Parse(text(100<<20, 1, 1, 16))
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, ErrParams)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestParametersHaveOneSpelling(t *testing.T) {
	const salt = "AAECAwQFBgcICQoLDA0ODw"
	const good = "$argon2id$v=19$m=8192,t=1,p=1$" + salt
	_, err := Parse(good)
	require.NoError(t, err)

	for name, other := range map[string]string{
		"nothing":                  "",
		"no algorithm":             "$v=19$m=8192,t=1,p=1$" + salt,
		"another algorithm":        "$argon2i$v=19$m=8192,t=1,p=1$" + salt,
		"capitals":                 "$ARGON2ID$v=19$m=8192,t=1,p=1$" + salt,
		"version 16":               "$argon2id$v=16$m=8192,t=1,p=1$" + salt,
		"version 20":               "$argon2id$v=20$m=8192,t=1,p=1$" + salt,
		"no version":               "$argon2id$m=8192,t=1,p=1$" + salt,
		"leading zero in m":        "$argon2id$v=19$m=08192,t=1,p=1$" + salt,
		"leading zero in t":        "$argon2id$v=19$m=8192,t=01,p=1$" + salt,
		"leading zero in p":        "$argon2id$v=19$m=8192,t=1,p=01$" + salt,
		"plus in m":                "$argon2id$v=19$m=+8192,t=1,p=1$" + salt,
		"plus in t":                "$argon2id$v=19$m=8192,t=+1,p=1$" + salt,
		"plus in p":                "$argon2id$v=19$m=8192,t=1,p=+1$" + salt,
		"minus":                    "$argon2id$v=19$m=8192,t=-1,p=1$" + salt,
		"hexadecimal":              "$argon2id$v=19$m=0x2000,t=1,p=1$" + salt,
		"underscores":              "$argon2id$v=19$m=8_192,t=1,p=1$" + salt,
		"fraction":                 "$argon2id$v=19$m=8192,t=1.0,p=1$" + salt,
		"other digits":             "$argon2id$v=19$m=8192,t=١,p=1$" + salt,
		"other order":              "$argon2id$v=19$t=1,m=8192,p=1$" + salt,
		"one missing":              "$argon2id$v=19$m=8192,t=1$" + salt,
		"one more":                 "$argon2id$v=19$m=8192,t=1,p=1,keyid=1$" + salt,
		"twice":                    "$argon2id$v=19$m=8192,t=1,t=1,p=1$" + salt,
		"no number":                "$argon2id$v=19$m=,t=1,p=1$" + salt,
		"no salt":                  "$argon2id$v=19$m=8192,t=1,p=1$",
		"no salt, no dollar":       "$argon2id$v=19$m=8192,t=1,p=1",
		"padding":                  good + "==",
		"URL alphabet":             "$argon2id$v=19$m=8192,t=1,p=1$-_" + salt[2:],
		"bits that say nothing":    good[:len(good)-1] + "x",
		"salt one character short": good[:len(good)-1],
		"line feed in the salt":    good[:len(good)-4] + "\n" + good[len(good)-4:],
		"return in the salt":       good[:len(good)-4] + "\r" + good[len(good)-4:],
		"a hash behind":            good + "$AAAA",
		"text behind":              good + " x",
		"space behind":             good + " ",
		"line feed behind":         good + "\n",
		"NUL behind":               good + "\x00",
		"space in front":           " " + good,
		"line feed in front":       "\n" + good,
		"space in m":               "$argon2id$v=19$m= 8192,t=1,p=1$" + salt,
		"space before t":           "$argon2id$v=19$m=8192, t=1,p=1$" + salt,
		"space before the salt":    "$argon2id$v=19$m=8192,t=1,p=1$ " + salt,
		"too large for any number": "$argon2id$v=19$m=99999999999999999999999,t=1,p=1$" + salt,
	} {
		_, err := Parse(other)
		require.ErrorIs(t, err, ErrParams, name)
	}
}
