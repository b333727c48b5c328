package keyset_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
)

func TestAWrappedKeysetOpensWithItsKEK(t *testing.T) {
	for kind, kek := range keks(t) {
		h, err := newHandle(t).WithPrimary(keyset.AES256GCM)
		require.NoError(t, err)
		h, err = h.WithPrimary(keyset.XAES256GCM)
		require.NoError(t, err)
		w := prepared(t, kek)
		wrapped := wrap(t, w, h, place)

		got, err := w.Unwrap(wrapped, place)
		require.NoError(t, err, kind)
		requireSame(t, h, got)

		stored, err := kek.PrepareStored(w.Kind(), w.Params())
		require.NoError(t, err)
		require.Equal(t, w.Kind(), stored.Kind())
		require.Equal(t, w.Params(), stored.Params())
		got, err = stored.Unwrap(wrapped, place)
		require.NoError(t, err, kind)
		requireSame(t, h, got)
	}
}

func TestAWrappedKeysetOpensInItsPlaceOnly(t *testing.T) {
	for kind, kek := range keks(t) {
		h, w := newHandle(t), prepared(t, kek)
		for _, own := range [][]byte{nil, place} {
			wrapped := wrap(t, w, h, own)
			for _, other := range [][]byte{nil, {0}, place, place[1:], []byte("its place\x00"), []byte("Its place")} {
				got, err := w.Unwrap(wrapped, other)
				if bytes.Equal(own, other) {
					require.NoError(t, err)
					requireSame(t, h, got)
				} else {
					require.ErrorIs(t, err, keyset.ErrWrongKEK, "%s: %q for %q", kind, other, own)
				}
			}
		}
	}
}

func TestNoOtherKEKOpensAWrappedKeyset(t *testing.T) {
	own, others := keks(t), map[keyset.Kind]keyset.KEK{
		keyset.KindPassphrase: cheap("another"), keyset.KindRawKey: keyset.RawKey(rawKey(2)),
		keyset.KindAEAD: keyset.AEAD(kmsName, kms(t)),
	}
	for kind, kek := range own {
		w := prepared(t, kek)
		stored, err := others[kind].PrepareStored(w.Kind(), w.Params())
		if err == nil { // a passphrase is told by what it is committed to
			_, err = stored.Unwrap(wrap(t, w, newHandle(t), place), place)
		}
		require.ErrorIs(t, err, keyset.ErrWrongKEK, kind)
	}
}

func TestAWrappedKeysetShowsNothingOfTheKeys(t *testing.T) {
	h := knownHandle(t)
	for kind, kek := range keks(t) {
		w := prepared(t, kek)
		wrapped := wrap(t, w, h, place)
		require.False(t, bytes.Contains(wrapped, rawKey(0xa0)[:4]), kind)
		require.False(t, bytes.Contains(wrapped, []byte("google")), kind)
		require.NotEqual(t, wrapped, wrap(t, w, h, place), "%s: a fresh nonce each time", kind)
	}
}

func TestAWrappedKeysetWithAFlippedBitDoesNotOpen(t *testing.T) {
	for kind, kek := range keks(t) {
		w := prepared(t, kek)
		wrapped := wrap(t, w, newHandle(t), place)
		for i := range len(wrapped) * 8 {
			wrapped[i/8] ^= 1 << (i % 8)
			_, err := w.Unwrap(wrapped, place)
			require.ErrorIs(t, err, keyset.ErrWrongKEK, "%s: bit %d", kind, i)
			wrapped[i/8] ^= 1 << (i % 8)
		}
		_, err := w.Unwrap(wrapped, place)
		require.NoError(t, err)
	}
}

func TestAWrappedKeysetCutShortOrLongerDoesNotOpen(t *testing.T) {
	for kind, kek := range keks(t) {
		w := prepared(t, kek)
		wrapped := wrap(t, w, newHandle(t), place)
		for n := range wrapped {
			for _, part := range [][]byte{wrapped[:n], wrapped[n+1:]} {
				_, err := w.Unwrap(part, place)
				require.ErrorIs(t, err, keyset.ErrWrongKEK, "%s: %d bytes", kind, len(part))
			}
		}
		_, err := w.Unwrap(nil, place)
		require.ErrorIs(t, err, keyset.ErrWrongKEK, kind)
		// A message in protobuf could be continued: a field that nobody knows, or one of EncryptedKeyset's again.
		for _, more := range [][]byte{
			{0}, {0x78, 0x01}, {0x12, 0x00}, {0x1a, 0x02, 0x08, 0x01}, append([]byte{0x12, byte(len(wrapped))}, wrapped...), wrapped,
		} {
			for _, longer := range [][]byte{append(bytes.Clone(wrapped), more...), append(bytes.Clone(more), wrapped...)} {
				_, err := w.Unwrap(longer, place)
				require.ErrorIs(t, err, keyset.ErrWrongKEK, "%s: % x", kind, more)
			}
		}
	}
}

func TestWrappingAndUnwrappingKeepWhatTheyAreGiven(t *testing.T) {
	for kind, kek := range keks(t) {
		h, w := newHandle(t), prepared(t, kek)
		associatedData := bytes.Clone(place)
		wrapped := wrap(t, w, h, associatedData)
		before := bytes.Clone(wrapped)
		got, err := w.Unwrap(wrapped, associatedData)
		require.NoError(t, err)
		require.Equal(t, before, wrapped, kind)
		require.Equal(t, place, associatedData, kind)
		clear(wrapped)
		clear(associatedData)
		requireSame(t, h, got)
	}
}

// failing is a KMS that says why it fails.
type failing struct{ err error }

func (f failing) Encrypt(_, _ []byte) ([]byte, error) { return nil, f.err }
func (f failing) Decrypt(_, _ []byte) ([]byte, error) { return nil, f.err }

func TestTheErrorOfAnAEADIsReachable(t *testing.T) {
	errDenied := errors.New("permission denied")
	w := prepared(t, keyset.AEAD(kmsName, failing{fmt.Errorf("kms: %w", errDenied)}))

	_, err := w.Unwrap([]byte("wrapped"), place)
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
	require.ErrorIs(t, err, errDenied)
	require.ErrorContains(t, err, "kms: permission denied")

	_, err = w.Wrap(newHandle(t), place)
	require.ErrorIs(t, err, errDenied)
	require.NotErrorIs(t, err, keyset.ErrWrongKEK, "there is nothing yet that could be wrong")
}

// The texts are what this version's first program wrote: they open for ever.
func TestAKeysetThatWasWrappedOnceOpensForEver(t *testing.T) {
	value := unhex(t, "010a0b0c0dd958d817844f8922b169ce394f609bb246e31dcaf278c1247936374d51b2e1efc3a0f5545e15e22d3c8123a5daa1d8")
	for _, golden := range []struct {
		kek     keyset.KEK
		params  string
		wrapped string
	}{
		{keyset.RawKey(rawKey(0)), "", goldenUnderRawKey},
		{
			cheap(secretPassphrase),
			"$argon2id$v=19$m=8192,t=1,p=1$cxZ8MFE/bgHpDZ85RauvyA$rIvbNu3c7QUXZqo8lPJfzQNhjSwpjOn5Jvab5HVulN8",
			"cb4969d983837aa5e8b221feb1db411997619f478793c1f527ca0d8aab824de2c16de9330f7d067f2674af93196b7bf6ab0a44c92e5f56d5" +
				"a0bb9db1dd99c3c731ff576f4b0871e03e6a0098262de04aa4ceec5fcb9f91639716840f74d432254604041746fc09166a75435b2617fe69" +
				"1f925ce9a1162e5e9a84043807e93238beed38ac8706acea38ff317a886cbe0b43e5007047502593e39900238b",
		},
	} {
		w, err := golden.kek.PrepareStored(golden.kek.Kind(), golden.params)
		require.NoError(t, err)
		h, err := w.Unwrap(unhex(t, golden.wrapped), place)
		require.NoError(t, err)
		require.Equal(t, []keyset.Key{{ID: 0x0a0b0c0d, Primary: true, Status: "enabled"}}, h.Keys())
		requireSame(t, knownHandle(t), h)

		plaintext, err := h.Decrypt(value, []byte("its row"))
		require.NoError(t, err)
		require.Equal(t, `"hello"`, string(plaintext))
	}
}

// goldenUnderRawKey is knownHandle wrapped under rawKey(0) for place.
const goldenUnderRawKey = "59d914e9308f4f6f0959703ec45ef98c31006d9ae221335ba0cff668bbbed8b07e99b8856cc79ec204d0c1b84b117b747bcb" +
	"c803ef05970747bd963ec8c6fd4b121348bc6d0bf3bf1bf2a78d977cd2d387a16386f73125959c045fa21791ac0df4336bc1f6e7a26c62657e7eb985" +
	"b5c788ef1fd1901b7738231ff327d809ab1e17835429fc46b8325995357abd6e3f4fc03082a1be36ffc9f7d7f4c4ff"

// contextual is a KMS that takes contexts, and fails as they do.
type contextual struct{ keyset.Cipher }

func (c contextual) EncryptWithContext(ctx context.Context, plaintext, associatedData []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.Cipher.Encrypt(plaintext, associatedData)
}

func (c contextual) DecryptWithContext(ctx context.Context, ciphertext, associatedData []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return c.Cipher.Decrypt(ciphertext, associatedData)
}

func TestAnAEADWithContextMethodsGetsTheContext(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	service, h := contextual{kms(t)}, newHandle(t)
	for name, kek := range map[string]keyset.KEK{
		"AEAD": keyset.AEAD(kmsName, service), "AEADWithContext": keyset.AEADWithContext(kmsName, service),
	} {
		require.Equal(t, keyset.KindAEAD, kek.Kind())
		w := prepared(t, kek)
		_, err := w.WrapWithContext(ended, h, place)
		require.ErrorIs(t, err, context.Canceled, name)
		wrapped, err := w.WrapWithContext(t.Context(), h, place)
		require.NoError(t, err)
		_, err = w.UnwrapWithContext(ended, wrapped, place)
		require.ErrorIs(t, err, context.Canceled, name)
		got, err := w.UnwrapWithContext(t.Context(), wrapped, place)
		require.NoError(t, err)
		requireSame(t, h, got)
	}
}
