package oxide

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const keyString = "s3cr3t-key"

// sealed is the value as an oxide-k kernel with that key string stores it, made without this package and without Tink.
func sealed(t testing.TB, keyString, json string, nonce []byte) string {
	t.Helper()
	return base64.URLEncoding.EncodeToString(gcm(t, keyString).Seal(bytes.Clone(nonce), nonce, []byte(json), nil))
}

func gcm(t testing.TB, keyString string) cipher.AEAD {
	t.Helper()
	key := sha256.Sum256([]byte(keyString))
	block, err := aes.NewCipher(key[:])
	require.NoError(t, err)
	aead, err := cipher.NewGCM(block)
	require.NoError(t, err)
	return aead
}

func newKey(t testing.TB, text string) *Key {
	t.Helper()
	k, err := NewKey(text)
	require.NoError(t, err)
	return k
}

var nonce = []byte("twelve bytes")

func TestAValueOfOxideKOpens(t *testing.T) {
	for _, key := range []string{keyString, "", "Schlüssel", strings.Repeat("long", 1000)} {
		k := newKey(t, key)
		for _, json := range []string{"", "1", "null", `"my-super-secret-token"`, `{"a":[1,2,3]}`, strings.Repeat("x", 100_000)} {
			text := sealed(t, key, json, nonce)
			require.True(t, LooksEncrypted(text))
			got, err := k.Open(text)
			require.NoError(t, err)
			require.Equal(t, json, string(got))
		}
	}
}

// The texts stand in a database that an oxide-k kernel wrote, tests/testdata/oxide-k/encrypted.db.
func TestAValueFromADatabaseOfOxideKOpens(t *testing.T) {
	for text, json := range map[string]string{
		"-o2xoPRvHaJMaIJDwPKSZeRo9e7OV_qpS_gC0p0QYR3jmm_FvnMmb0EhhdKyE4C1-wPS": `"my-super-secret-token"`,
		"zXCKYULnCup8nBVjZiGsBEKFnYLs6jfbh_uwRLeJ0w==":                         "0.1",
		"h3Pc8sthDS3m7c_Li4WJS1Nj-F0XW-Q0Nt5Kv4MK":                             `""`,
		"Pe5uAq5YpfkzGGyswuJFrahNjZInPzVGRNEoNE-Plas=":                         "true",
	} {
		got, err := newKey(t, keyString).Open(text)
		require.NoError(t, err)
		require.Equal(t, json, string(got))
	}
}

func TestAnotherKeyOpensNothing(t *testing.T) {
	text := sealed(t, keyString, `"value"`, nonce)
	for _, other := range []string{"", "s3cr3t-keY", "s3cr3t-key ", "s3cr3t-key\n", "S3cr3t-key"} {
		_, err := newKey(t, other).Open(text)
		require.ErrorIs(t, err, ErrCannotOpen, "%q", other)
		require.True(t, LooksEncrypted(text), "that is about the form")
	}
}

func TestAValueWithAFlippedBitDoesNotOpen(t *testing.T) {
	k := newKey(t, keyString)
	ciphertext, err := base64.URLEncoding.DecodeString(sealed(t, keyString, `"value"`, nonce))
	require.NoError(t, err)
	for i := range len(ciphertext) * 8 {
		flipped := bytes.Clone(ciphertext)
		flipped[i/8] ^= 1 << (i % 8)
		_, err := k.Open(base64.URLEncoding.EncodeToString(flipped))
		require.ErrorIs(t, err, ErrCannotOpen, "bit %d", i)
	}
	for n := range len(ciphertext) {
		_, err := k.Open(base64.URLEncoding.EncodeToString(ciphertext[:n]))
		require.ErrorIs(t, err, ErrCannotOpen, "%d bytes", n)
	}
	_, err = k.Open(base64.URLEncoding.EncodeToString(append(ciphertext, 0)))
	require.ErrorIs(t, err, ErrCannotOpen, "a byte more")
}

// A value is opened for its own sake: with associated data it would be somebody else's.
func TestAValueWithAssociatedDataDoesNotOpen(t *testing.T) {
	text := base64.URLEncoding.EncodeToString(gcm(t, keyString).Seal(bytes.Clone(nonce), nonce, []byte("1"), []byte("config")))
	_, err := newKey(t, keyString).Open(text)
	require.ErrorIs(t, err, ErrCannotOpen)
}

func TestWhatIsNotOfThatFormDoesNotOpen(t *testing.T) {
	k := newKey(t, keyString)
	good := sealed(t, keyString, `"12345"`, nonce) // 35 bytes: one character of padding
	require.True(t, strings.HasSuffix(good, "="), good)
	standard := strings.NewReplacer("-", "+", "_", "/").Replace(strings.Repeat("-_", 20))
	for name, text := range map[string]string{
		"nothing":         "",
		"JSON object":     `{"retries":3,"url":"https://example.com"}`,
		"JSON text":       `"my-super-secret-token-of-some-length"`,
		"JSON number":     "42",
		"no padding":      strings.TrimRight(good, "="),
		"more padding":    good + "=",
		"standard base64": standard,
		"space behind":    good + " ",
		"space in front":  " " + good,
		"27 bytes":        base64.URLEncoding.EncodeToString(make([]byte, 27)),
		"an envelope":     "enc:v1:0abcdef0:AQq83vD1-_--_w",
	} {
		require.False(t, LooksEncrypted(text), name)
		_, err := k.Open(text)
		require.ErrorIs(t, err, ErrCannotOpen, name)
	}
	require.True(t, LooksEncrypted(base64.URLEncoding.EncodeToString(make([]byte, 28))), "an empty value has 28 bytes")
}

func TestPrintingAKeyShowsNoKey(t *testing.T) {
	k := newKey(t, keyString)
	key := sha256.Sum256([]byte(keyString))
	secrets := []string{
		keyString, string(key[:4]), hex.EncodeToString(key[:4]), strings.ToUpper(hex.EncodeToString(key[:4])),
		strings.Trim(fmt.Sprint(key[:4]), "[]"), fmt.Sprintf("%#x, %#x, %#x", key[0], key[1], key[2]), fmt.Sprintf("% x", key[:4]),
	}
	for name, v := range map[string]any{
		"pointer": k, "value": *k, "field": struct{ K *Key }{k}, "value field": struct{ k Key }{*k}, "slice": []*Key{k},
		"map": map[string]*Key{"k": k}, "values": []Key{*k},
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			text := fmt.Sprintf(verb, v)
			for _, secret := range secrets {
				require.NotContains(t, text, secret, "%s of a %s", verb, name)
			}
		}
		// A failed assertion prints what it finds behind pointers and in fields that are not exported.
		var message failure
		assert.Equal(&message, nil, v)
		require.NotEmpty(t, message)
		for _, secret := range secrets {
			require.NotContains(t, string(message), secret, name)
		}
	}
}

// failure is the message of an assertion that failed.
type failure string

func (f *failure) Errorf(format string, args ...any) { *f += failure(fmt.Sprintf(format, args...)) }

// FuzzOpen: nothing opens but the value that was encrypted, and no text is too odd to be looked at.
func FuzzOpen(f *testing.F) {
	k := newKey(f, keyString)
	good := sealed(f, keyString, `"value"`, nonce)
	f.Add(good)
	f.Add(good[:len(good)-4])
	f.Add(strings.TrimRight(good, "="))
	f.Add(good + "\r\n")
	f.Add(base64.StdEncoding.EncodeToString(nonce) + good)
	f.Add("")
	f.Add(`{"a":1}`)
	f.Fuzz(func(t *testing.T, text string) {
		json, err := k.Open(text)
		if err != nil {
			require.ErrorIs(t, err, ErrCannotOpen)
			return
		}
		require.Equal(t, `"value"`, string(json))
		require.True(t, LooksEncrypted(text))
	})
}
