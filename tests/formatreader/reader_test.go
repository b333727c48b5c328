package formatreader

import (
	"bytes"
	"encoding/hex"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestItSharesNothingWithTheRegistry: what it reads, it reads by the page alone.
func TestItSharesNothingWithTheRegistry(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	looked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		looked++
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range f.Imports {
			path, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			host, _, _ := strings.Cut(path, "/")
			allowed := !strings.Contains(host, ".") || // the standard library
				path == "github.com/mattn/go-sqlite3" || strings.HasPrefix(path, "golang.org/x/crypto/")
			require.True(t, allowed, "%s imports %s", name, path)
		}
	}
	require.Greater(t, looked, 5)
}

// The test vectors of c2sp.org/XAES-256-GCM: the highest bit of L is 0 in the first and 1 in the second.
func TestXAESIsC2SPs(t *testing.T) {
	for _, v := range []struct{ key, associatedData, derived, ciphertext string }{
		{
			"01", "", "c8612c9ed53fe43e8e005b828a1631a0bbcb6ab2f46514ec4f439fcfd0fa969b",
			"ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
		},
		{
			"03", "c2sp.org/XAES-256-GCM", "e9c621d4cdd9b11b00a6427ad7e559aeedd66b3857646677748f8ca796cb3fd8",
			"986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
		},
	} {
		key := bytes.Repeat(unhex(t, v.key), 32)
		nonce := []byte("ABCDEFGHIJKLMNOPQRSTUVWX")
		derived, err := deriveXAES(key, nonce[:xaesSalt])
		require.NoError(t, err)
		require.Equal(t, v.derived, hex.EncodeToString(derived))
		plaintext, err := openXAES(key, append(nonce, unhex(t, v.ciphertext)...), []byte(v.associatedData))
		require.NoError(t, err)
		require.Equal(t, "XAES-256-GCM", string(plaintext))
	}
}

func TestOnlyOneFormOfTheParametersIsRead(t *testing.T) {
	const onlySalt = "gIGCg4SFhoeIiYqLjI2Ojw"
	const commitment = "$7INmd4WZKMFS5b283dqQcqGKM0m6LH/gk7/o5vTM7ro"
	const salt = onlySalt + commitment
	for _, text := range []string{
		"$argon2id$v=19$m=65536,t=3,p=1$" + salt, "$argon2id$v=19$m=262144,t=10,p=16$" + salt,
		"$argon2id$v=19$m=65536,t=3,p=1$" + strings.Repeat("A", 86) + commitment,
	} {
		_, err := parsePHC(text)
		require.NoError(t, err, text)
	}
	for _, text := range []string{
		"", "$argon2id$v=19$m=65535,t=3,p=1$" + salt, "$argon2id$v=19$m=262145,t=3,p=1$" + salt,
		"$argon2id$v=19$m=65536,t=2,p=1$" + salt, "$argon2id$v=19$m=65536,t=11,p=1$" + salt,
		"$argon2id$v=19$m=65536,t=3,p=0$" + salt, "$argon2id$v=19$m=65536,t=3,p=17$" + salt,
		"$argon2id$v=19$m=065536,t=3,p=1$" + salt, "$argon2id$v=19$m=65536,t=03,p=1$" + salt, "$argon2id$v=19$m=65536,t=+3,p=1$" + salt,
		"$argon2id$v=19$m=65536,t=4294967297,p=1$" + salt, "$argon2id$v=19$t=1,m=65536,p=1$" + salt,
		"$argon2id$v=16$m=65536,t=3,p=1$" + salt, "$argon2i$v=19$m=65536,t=3,p=1$" + salt, "$argon2id$m=65536,t=3,p=1$" + salt,
		"$argon2id$v=19$m=65536,t=3,p=1$" + salt + "$AAAA", "$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt, "$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt + "$",
		"$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt + commitment[:43], "$argon2id$v=19$m=65536,t=3,p=1$" + salt + "==",
		"$argon2id$v=19$m=65536,t=3,p=1$" + salt + "\n", "$argon2id$v=19$m=65536,t=3,p=1$" + salt[:len(salt)-1] + "p", "$argon2id$v=19$m=65536,t=3,p=1$" + onlySalt[:21] + "x" + commitment,
		"$argon2id$v=19$m=65536,t=3,p=1$AAAAAAAAAAAAAAAAAAAA" + commitment, "$argon2id$v=19$m=65536,t=3,p=1$" + strings.Repeat("A", 87) + commitment,
		" $argon2id$v=19$m=65536,t=3,p=1$" + salt, "$argon2id$v=19$m=65536,t=3,p=1$", "$argon2id$v=19$m=65536,t=3,p=1$" + commitment,
	} {
		_, err := parsePHC(text)
		require.Error(t, err, text)
	}
}

// FuzzKeyset: whatever a KEK opens, there is an answer.
func FuzzKeyset(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{0x08, 0x01, 0x12, 0x00})
	f.Add([]byte{0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01})
	f.Fuzz(func(t *testing.T, message []byte) {
		var k Keyset
		if k.parse(message) == nil {
			require.NotNil(t, k.find(k.Primary))
		}
	})
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}
