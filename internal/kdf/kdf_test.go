package kdf

import (
	"bytes"
	"context"
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

// text returns the stored form of parameters that may be out of bounds, with a salt of that many bytes.
func text(memory, time, threads uint64, salt int) string {
	return committed(memory, time, threads, salt, CommitmentSize)
}

func committed(memory, time, threads uint64, salt, commitment int) string {
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", memory, time, threads,
		base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xfb}, salt)),
		base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xfc}, commitment)))
}

// parse reads parameters at whatever cost.
func parse(text string) (Params, error) { return Parse(text, cheapest()) }

// The keys are those of the reference implementation, libargon2: what was locked once opens for ever.
func TestAPassphraseGivesTheSameKeyForEver(t *testing.T) {
	for _, golden := range []struct{ passphrase, params, key string }{
		{
			"correct horse battery staple",
			"$argon2id$v=19$m=8192,t=1,p=1$AAECAwQFBgcICQoLDA0ODw$sQTuCxCKT+ZjEEAE0mcyU3guhjJ/WeenPqq9L9rwaSU",
			"95796a82db1837b4ce7c31f0656c9cfd1f8e940f744c287103e030751432a1b0",
		},
		{
			"correct horse battery staple",
			"$argon2id$v=19$m=65536,t=3,p=4$AAECAwQFBgcICQoLDA0ODw$p00flN2CWKSLNTWzd8n9RlC3xn/rgnv3rcE458dHYI0",
			"7b4fe5ce00a08735b19613560a0f9834c951c2ca1d326edc579d6a453bb4bb85",
		},
		{
			"Grüße", "$argon2id$v=19$m=8193,t=2,p=16$" + strings.Repeat("/", 85) + "w$g2pDm9Lsm2Cg0wYE5Xgr62DgkdLOTJOJP+/xyooulXQ",
			"5797f443f7537b4b166b6ebad8de11a76607c43fca8c168550afa3578ec60845",
		},
	} {
		p, err := parse(golden.params)
		require.NoError(t, err, golden.params)
		key, err := p.Key(t.Context(), golden.passphrase)
		require.NoError(t, err, golden.params)
		require.Equal(t, golden.key, hex.EncodeToString(key), golden.params)
		_, err = p.Key(t.Context(), golden.passphrase+"\x00")
		require.ErrorIs(t, err, ErrPassphrase)
	}
}

// Whoever writes the file chooses the commitment: it stands for one passphrase, and is compared to the last bit.
func TestAKeyIsGivenOnlyForTheCommitmentToIt(t *testing.T) {
	p, key, err := New(t.Context(), "x", cheapest())
	require.NoError(t, err)
	require.NotEqual(t, key, p.commitment)
	again, err := p.Key(t.Context(), "x")
	require.NoError(t, err)
	require.Equal(t, key, again)
	for bit := range 8 * CommitmentSize {
		if bit%64 != bit/64 { // each derivation takes its time
			continue
		}
		other := p
		other.commitment = bytes.Clone(p.commitment)
		other.commitment[bit/8] ^= 1 << (bit % 8)
		_, err = other.Key(t.Context(), "x")
		require.ErrorIs(t, err, ErrPassphrase, "bit %d", bit)
	}
}

func TestACostBelowTheCallersIsRefused(t *testing.T) {
	least := Cost{Time: 2, MemoryKiB: 16 << 10, Threads: 4}
	for params, accepted := range map[string]bool{
		text(16<<10, 2, 4, 16): true, text(16<<10, 2, 1, 16): true, text(16<<10, 2, 16, 16): true, text(17<<10, 3, 4, 16): true,
		text(16<<10-1, 2, 4, 16): false, text(16<<10, 1, 4, 16): false, text(256<<10, 1, 4, 16): false, text(8<<10, 10, 4, 16): false,
	} {
		_, err := Parse(params, least)
		if accepted {
			require.NoError(t, err, params)
		} else {
			require.ErrorIs(t, err, ErrParams, params)
		}
	}
}

func TestTheDefaultCostIsTheSecondRecommendationOfRFC9106(t *testing.T) {
	require.Equal(t, Cost{Time: 3, MemoryKiB: 65536, Threads: 4}, DefaultCost())
	p, _, err := New(t.Context(), "x", DefaultCost())
	require.NoError(t, err)
	require.Regexp(t, `^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`, p.String())
}

func TestEachNewSaltIsAnother(t *testing.T) {
	seen := map[string]bool{}
	for range 10 {
		p, _, err := New(t.Context(), "x", cheapest())
		require.NoError(t, err)
		require.Len(t, p.salt, 16)
		require.False(t, seen[string(p.salt)])
		seen[string(p.salt)] = true
	}
}

func TestWhatStringWritesParseReads(t *testing.T) {
	for _, c := range []Cost{cheapest(), DefaultCost(), {Time: 2, MemoryKiB: minMemoryKiB + 1, Threads: maxThreads}} {
		p, _, err := New(t.Context(), "x", c)
		require.NoError(t, err)
		again, err := Parse(p.String(), c)
		require.NoError(t, err)
		require.Equal(t, p, again)
	}
}

func TestTheKeyDependsOnAllParameters(t *testing.T) {
	keys := map[string]string{}
	for _, params := range []string{
		text(8192, 1, 1, 16), text(8193, 1, 1, 16), text(8192, 2, 1, 16), text(8192, 1, 2, 16), text(8192, 1, 1, 17),
	} {
		p, err := parse(params)
		require.NoError(t, err, params)
		for _, passphrase := range []string{"x", "x ", "X"} {
			key, commitment, err := p.derive(t.Context(), passphrase)
			require.NoError(t, err)
			require.Len(t, key, KeySize)
			require.Len(t, commitment, CommitmentSize)
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
		p, err := parse(params)
		require.NoError(t, err, params)
		require.Equal(t, params, p.String())
		require.NoError(t, p.Check(), params)
	}
	outside := []string{
		text(8<<10-1, 1, 1, 16), text(256<<10+1, 1, 1, 16), text(0, 1, 1, 16), text(100<<20, 1, 1, 16), // KiB: the last is 100 GiB
		text(8<<10, 0, 1, 16), text(8<<10, 11, 1, 16), text(8<<10, math.MaxUint32, 1, 16),
		text(8<<10, 1, 0, 16), text(8<<10, 1, 17, 16), text(8<<10, 1, math.MaxUint8, 16),
		text(8<<10, 1, 1, 15), text(8<<10, 1, 1, 65), text(8<<10, 1, 1, 1),
		committed(8<<10, 1, 1, 16, 0), committed(8<<10, 1, 1, 16, 31), committed(8<<10, 1, 1, 16, 33), committed(8<<10, 1, 1, 16, 64),
		// What a narrower integer would wrap round to something allowed.
		text(math.MaxUint32+1+8<<10, 1, 1, 16), text(8<<10, math.MaxUint32+2, 1, 16), text(8<<10, 1, 257, 16),
	}
	for _, params := range outside {
		_, err := parse(params)
		require.ErrorIs(t, err, ErrParams, params)
	}
	for _, c := range []Cost{
		{},
		{Time: 0, MemoryKiB: 8 << 10, Threads: 1}, {Time: 11, MemoryKiB: 8 << 10, Threads: 1},
		{Time: 1, MemoryKiB: 8<<10 - 1, Threads: 1}, {Time: 1, MemoryKiB: 256<<10 + 1, Threads: 1},
		{Time: 1, MemoryKiB: 8 << 10, Threads: 0}, {Time: 1, MemoryKiB: 8 << 10, Threads: 17},
	} {
		_, _, err := New(t.Context(), "x", c)
		require.ErrorIs(t, err, ErrParams, "%+v", c)
	}
}

// The parameters stand in a file that anybody may have written.
func TestRefusingParametersCostsNoMemory(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := parse(text(100<<20, 1, 1, 16))
	runtime.ReadMemStats(&after)
	require.ErrorIs(t, err, ErrParams)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestParametersHaveOneSpelling(t *testing.T) {
	const commitment = "sQTuCxCKT+ZjEEAE0mcyU3guhjJ/WeenPqq9L9rwaSU"
	const onlySalt = "AAECAwQFBgcICQoLDA0ODw"
	const salt = onlySalt + "$" + commitment
	const good = "$argon2id$v=19$m=8192,t=1,p=1$" + salt
	_, err := parse(good)
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
		"no salt":                  "$argon2id$v=19$m=8192,t=1,p=1$$" + commitment,
		"nothing behind":           "$argon2id$v=19$m=8192,t=1,p=1$",
		"no commitment":            "$argon2id$v=19$m=8192,t=1,p=1$" + onlySalt,
		"an empty commitment":      "$argon2id$v=19$m=8192,t=1,p=1$" + onlySalt + "$",
		"no salt, no dollar":       "$argon2id$v=19$m=8192,t=1,p=1",
		"padding":                  good + "==",
		"URL alphabet":             "$argon2id$v=19$m=8192,t=1,p=1$-_" + salt[2:],
		"bits that say nothing":    good[:len(good)-1] + "V",
		"and in the salt":          "$argon2id$v=19$m=8192,t=1,p=1$" + onlySalt[:21] + "x$" + commitment,
		"one character short":      good[:len(good)-1],
		"salt one character short": "$argon2id$v=19$m=8192,t=1,p=1$" + onlySalt[1:] + "$" + commitment,
		"line feed":                good[:len(good)-4] + "\n" + good[len(good)-4:],
		"return":                   good[:len(good)-4] + "\r" + good[len(good)-4:],
		"line feed in the salt":    "$argon2id$v=19$m=8192,t=1,p=1$" + onlySalt[:4] + "\n" + onlySalt[4:] + "$" + commitment,
		"one part more":            good + "$AAAA",
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
		_, err := parse(other)
		require.ErrorIs(t, err, ErrParams, name)
	}
}

// Whoever gives up leaves the line, and costs nothing.
func TestDerivationsStandInLine(t *testing.T) {
	deriving <- struct{}{} // somebody derives
	ctx, cancel := context.WithCancel(t.Context())
	waiting := make(chan error, 2)
	p, err := parse(text(8<<10, 1, 1, 16))
	require.NoError(t, err)
	go func() { _, err := p.Key(ctx, "x"); waiting <- err }()
	go func() { _, _, err := New(ctx, "x", cheapest()); waiting <- err }()
	cancel()
	require.ErrorIs(t, <-waiting, context.Canceled)
	require.ErrorIs(t, <-waiting, context.Canceled)
	<-deriving
	_, err = p.Key(ctx, "x")
	require.ErrorIs(t, err, context.Canceled)
}
