package registry

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
)

// newTestKeyring makes a generation under a KEK.
func newTestKeyring(t *testing.T, generation int64, kek keyset.KEK) *keyring {
	t.Helper()
	handle, err := keyset.New(keyset.XChaCha20Poly1305)
	require.NoError(t, err)
	w, err := kek.Prepare()
	require.NoError(t, err)
	k, err := newKeyring(t.Context(), strings.Repeat("0f", 16), generation, handle, w, kek)
	require.NoError(t, err)
	return k
}

func newTestSecrets(kek keyset.KEK) *secrets {
	return &secrets{keyed: true, kek: kek, errands: newErrands()}
}

// A commit of which it was unknown whether it reached the disk, and which did: whoever reads it goes on with it, and with its KEK.
func TestAKeysetOfAnUnknownCommitIsAdoptedOnceItIsRead(t *testing.T) {
	old, fresh := keyset.RawKey(make([]byte, 32)), keyset.RawKey([]byte(strings.Repeat("k", 32)))
	s := newTestSecrets(old)
	former := newTestKeyring(t, 1, old)
	k, err := s.load(t.Context(), former.row())
	require.NoError(t, err)
	require.True(t, s.advance(k))

	next := newTestKeyring(t, 2, fresh)
	s.store(storing{ring: next, former: k})
	got, err := s.load(t.Context(), next.row())
	require.NoError(t, err)
	require.Same(t, next, got)
	require.Same(t, next, s.current.Load())
	require.Equal(t, fresh, s.kek)
	require.Same(t, k, s.former(former.row()))

	_, err = s.load(t.Context(), newTestKeyring(t, 3, old).row())
	require.ErrorIs(t, err, keyset.ErrWrongKEK, "the former KEK opens nothing more")
	after := newTestKeyring(t, 3, fresh)
	_, err = s.load(t.Context(), after.row())
	require.NoError(t, err)
	require.Equal(t, int64(3), s.current.Load().generation)
	s.settle(false) // whoever stored it comes to know, and is too late
	require.Equal(t, int64(3), s.current.Load().generation)
}

// One that did not reach the disk leaves the KEK as it was.
func TestAKeysetThatWasNotStoredIsForgotten(t *testing.T) {
	old, fresh := keyset.RawKey(make([]byte, 32)), keyset.RawKey([]byte(strings.Repeat("k", 32)))
	s := newTestSecrets(old)
	next := newTestKeyring(t, 2, fresh)
	s.store(storing{ring: next})
	s.settle(false)
	_, err := s.load(t.Context(), next.row())
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
	require.Equal(t, old, s.kek)
}

// Neither an older generation nor what a former KEK opened becomes the current keyring.
func TestTheCurrentKeyringOnlyGoesForward(t *testing.T) {
	kek, former := keyset.RawKey(make([]byte, 32)), keyset.RawKey(make([]byte, 32))
	s := newTestSecrets(kek)
	second := newTestKeyring(t, 2, kek)
	require.True(t, s.advance(second))
	require.True(t, s.advance(second))
	for name, k := range map[string]*keyring{
		"older": newTestKeyring(t, 1, kek), "another of the same generation": newTestKeyring(t, 2, kek),
		"under another KEK": newTestKeyring(t, 3, former),
	} {
		require.False(t, s.advance(k), name)
		require.Same(t, second, s.current.Load(), name)
	}
	third := newTestKeyring(t, 3, kek)
	require.True(t, s.advance(third))
	require.Same(t, third, s.current.Load())
}
