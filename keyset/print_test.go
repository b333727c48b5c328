package keyset_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
)

// verbs is what fmt knows. They are no literals where they are used: go vet would ask for fitting types.
var verbs = []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%b", "%o", "%U", "%t", "%e", "%p", "%T"}

// spellings is how fmt, and what people print keys with, would show some bytes. The first few are enough.
func spellings(secret []byte) []string {
	some := secret[:6]
	var bits, goSyntax []string
	for _, b := range some {
		bits = append(bits, fmt.Sprintf("%b", b))
		goSyntax = append(goSyntax, fmt.Sprintf("%#x", b))
	}
	return []string{
		string(some),
		hex.EncodeToString(some),
		strings.ToUpper(hex.EncodeToString(some)),
		fmt.Sprintf("% x", some),
		strings.Trim(fmt.Sprint(some), "[]"),
		strings.Join(bits, " "),
		strings.Join(goSyntax, ", "),
		base64.StdEncoding.EncodeToString(some),
		base64.URLEncoding.EncodeToString(some),
	}
}

// holder has a T in all the ways in which one is kept.
type holder[T any] struct {
	Exported   T
	unexported T
	pointer    *T
	any        any
	slice      []T
	array      [1]T
	byName     map[string]T
	nested     struct{ inner *struct{ T T } }
}

func held[T any](v T) holder[T] {
	h := holder[T]{
		Exported: v, unexported: v, pointer: &v, any: v, slice: []T{v}, array: [1]T{v}, byName: map[string]T{"k": v},
	}
	h.nested.inner = &struct{ T T }{v}
	return h
}

// requireSilent prints v in every way, and looks for the secrets.
func requireSilent[T any](t *testing.T, v T, secrets ...[]byte) {
	t.Helper()
	h := held(v)
	for name, shown := range map[string]any{
		"value": v, "pointer": &v, "holder": h, "pointer to holder": &h, "slice": h.slice, "slice of pointers": []*T{&v},
		"map": h.byName, "map of pointers": map[string]*T{"k": &v}, "nested": h.nested, "slice of any": []any{v, &v},
		"unexported in unexported": struct{ h holder[T] }{h},
	} {
		var printed []string
		for _, verb := range verbs {
			printed = append(printed, fmt.Sprintf(verb, shown))
		}
		printed = append(printed, fmt.Sprint(shown), fmt.Errorf("wrapped: %v", shown).Error())
		printed = append(printed, logged(shown)...)
		printed = append(printed, asserted(shown))
		if encoded, err := json.Marshal(shown); err == nil {
			printed = append(printed, string(encoded))
		}
		for _, text := range printed {
			for _, secret := range secrets {
				for _, spelling := range spellings(secret) {
					require.NotContains(t, text, spelling, "%T as a %s", v, name)
				}
			}
		}
	}
}

// asserted returns what a failed assertion shows of v: it follows pointers, and reads fields that are not exported.
func asserted(v any) string {
	var failure failure
	assert.Equal(&failure, v, 0)
	assert.Equal(&failure, struct{ any }{v}, struct{ any }{0})
	return failure.String()
}

// failure is a test that keeps what it is told.
type failure struct{ strings.Builder }

func (f *failure) Errorf(format string, args ...any) { fmt.Fprintf(f, format, args...) }

// logged is what slog's handlers make of v.
func logged(v any) []string {
	var text, encoded bytes.Buffer
	for _, handler := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&encoded, nil)} {
		log := slog.New(handler).With("with", v)
		log.Info("message", "v", v, slog.Group("group", "v", v), slog.Any("any", v))
	}
	return []string{text.String(), encoded.String()}
}

// valueCipher is an AEAD that a caller keeps by value: fmt would print what it holds.
type valueCipher struct{ key [32]byte }

func (valueCipher) Encrypt(plaintext, _ []byte) ([]byte, error)  { return bytes.Clone(plaintext), nil }
func (valueCipher) Decrypt(ciphertext, _ []byte) ([]byte, error) { return bytes.Clone(ciphertext), nil }

func TestTheTestSeesASecretThatIsPrinted(t *testing.T) {
	secret := [32]byte(rawKey(0xc0))
	for _, text := range []string{
		asserted(&valueCipher{secret}), asserted(holder[*valueCipher]{unexported: &valueCipher{secret}}),
		fmt.Sprint(valueCipher{secret}), fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("%#v", secret[:]),
		fmt.Sprintf("%b", secret), string(secret[:]), base64.StdEncoding.EncodeToString(secret[:]),
	} {
		seen := false
		for _, spelling := range spellings(secret[:]) {
			seen = seen || strings.Contains(text, spelling)
		}
		require.True(t, seen, text)
	}
}

func TestPrintingAKEKShowsNoSecret(t *testing.T) {
	t.Setenv(keyset.DefaultEnv, secretPassphrase)
	requireSilent(t, keyset.KEK{})
	requireSilent(t, keyset.Passphrase(secretPassphrase), []byte(secretPassphrase))
	requireSilent(t, keyset.FromEnv(), []byte(secretPassphrase))
	requireSilent(t, keyset.RawKey(rawKey(0xc0)), rawKey(0xc0))
	requireSilent(t, keyset.RawKey(rawKey(0xc0)[:31]), rawKey(0xc0)) // of a wrong size, but perhaps a key
	requireSilent(t, keyset.AEAD(kmsName, valueCipher{[32]byte(rawKey(0xc0))}), rawKey(0xc0))
	requireSilent(t, keyset.AEAD(kmsName, &valueCipher{[32]byte(rawKey(0xc0))}), rawKey(0xc0))
}

func TestPrintingAKeysetShowsNoKey(t *testing.T) {
	h := knownHandle(t)
	requireSilent(t, h, rawKey(0xa0))
	requireSilent(t, *h, rawKey(0xa0)) // nobody should, and it shows nothing either
	require.Equal(t, "keyset [0a0b0c0d]", fmt.Sprintf("%+v", h))

	requireSilent(t, h.Keys(), rawKey(0xa0))
	requireSilent(t, h.Keys()[0], rawKey(0xa0))
	requireSilent(t, keyset.Info{Generation: 1, KEK: keyset.KindRawKey, Primary: h.Primary(), Keys: h.Keys()}, rawKey(0xa0))
}

func TestPrintingAWrapperShowsNoSecret(t *testing.T) {
	for _, kek := range []keyset.KEK{
		cheap(secretPassphrase), keyset.RawKey(rawKey(0xc0)), keyset.AEAD(kmsName, valueCipher{[32]byte(rawKey(0xc0))}),
	} {
		requireSilent(t, prepared(t, kek), rawKey(0xc0), []byte(secretPassphrase))
	}
}

func TestNoErrorShowsASecret(t *testing.T) {
	for kind, kek := range keks(t) {
		w := prepared(t, kek)
		wrapped := wrap(t, w, knownHandle(t), place)
		_, unwrap := w.Unwrap(wrapped, nil)
		_, params := kek.PrepareStored(kind, "other")
		_, other := kek.PrepareStored("other", "")
		for _, err := range []error{unwrap, params, other} {
			require.Error(t, err)
			for _, secret := range [][]byte{[]byte(secretPassphrase), rawKey(1), rawKey(0xa0)} {
				for _, spelling := range spellings(secret) {
					require.NotContains(t, fmt.Sprintf("%+v %#v", err, err), spelling)
				}
			}
		}
	}
}
