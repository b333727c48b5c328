package registry

import (
	"context"
	"strings"
	"testing"
	"time"

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
	return &secrets{keyed: true, kek: kek, errands: newErrands(), patience: time.Minute}
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

// What the former KEK opened while it was revoked, of whatever generation, gives way.
func TestWhatARevokedKEKOpenedMeanwhileIsNotCurrent(t *testing.T) {
	old, fresh := keyset.RawKey(make([]byte, 32)), keyset.RawKey([]byte(strings.Repeat("k", 32)))
	s := newTestSecrets(old)
	former := newTestKeyring(t, 1, old)
	require.True(t, s.advance(former))
	next := newTestKeyring(t, 2, fresh)
	s.store(storing{ring: next, former: former})
	forged, err := s.load(t.Context(), newTestKeyring(t, 100, old).row())
	require.NoError(t, err, "until it is revoked it opens")
	require.Same(t, forged, s.current.Load())
	s.settle(true)
	require.Same(t, next, s.current.Load())
	require.False(t, s.advance(forged))
	_, err = s.load(t.Context(), forged.row())
	require.ErrorIs(t, err, keyset.ErrWrongKEK)
}

// waiting is an AEAD whose answers to Decrypt come when they are let go, the first of them at least.
type waiting struct {
	keyset.Cipher
	asked, letGo chan struct{}
}

func newWaiting(t *testing.T) *waiting {
	inner, err := keyset.New(keyset.XChaCha20Poly1305)
	require.NoError(t, err)
	return &waiting{Cipher: inner, asked: make(chan struct{}, 10), letGo: make(chan struct{})}
}

func (w *waiting) Decrypt(ciphertext, associatedData []byte) ([]byte, error) {
	w.asked <- struct{}{}
	<-w.letGo
	return w.Cipher.Decrypt(ciphertext, associatedData)
}

func TestAnOpeningThatARevocationOvertookIsNotTaken(t *testing.T) {
	service := newWaiting(t)
	old, fresh := keyset.AEAD("kms", service), keyset.RawKey([]byte(strings.Repeat("k", 32)))
	s := newTestSecrets(old)
	forged := newTestKeyring(t, 100, keyset.AEAD("kms", service.Cipher)).row()
	late := make(chan error)
	go func() {
		_, err := s.load(t.Context(), forged)
		late <- err
	}()
	<-service.asked
	next := newTestKeyring(t, 2, fresh)
	s.store(storing{ring: next})
	s.settle(true)
	close(service.letGo)
	require.ErrorIs(t, <-late, keyset.ErrWrongKEK)
	require.Same(t, next, s.current.Load())
}

// An answer that does not come is asked for once more, also for those who waited for the first.
func TestALostAnswerIsAskedForAgain(t *testing.T) {
	service := newWaiting(t)
	kek := keyset.AEAD("kms", service)
	s := newTestSecrets(kek)
	s.patience = 20 * time.Millisecond
	row := newTestKeyring(t, 1, keyset.AEAD("kms", service.Cipher)).row()
	first := make(chan error)
	go func() {
		_, err := s.load(t.Context(), row)
		first <- err
	}()
	<-service.asked
	<-service.asked // for the same waiter
	service.letGo <- struct{}{}
	require.NoError(t, <-first)
	close(service.letGo)
}

// A registry whose keyring is another KEK's ends with its context, and does not spin.
func TestFollowingEndsWithItsContext(t *testing.T) {
	kek := keyset.RawKey(make([]byte, 32))
	r := &Registry{errands: newErrands()}
	r.access = access{r}
	r.keys.kek, r.keys.errands, r.keys.patience = kek, r.errands, time.Minute
	r.keys.current.Store(newTestKeyring(t, 1, keyset.RawKey([]byte(strings.Repeat("k", 32)))))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := r.follow(ctx, r.ring().row())
	require.ErrorIs(t, err, context.Canceled)
}
