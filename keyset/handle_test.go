package keyset_test

import (
	"encoding/binary"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
)

func TestANewKeysetHasOneKeyAndItIsPrimary(t *testing.T) {
	h := newHandle(t)
	require.Equal(t, []keyset.Key{{ID: h.Primary(), Primary: true, Status: "enabled"}}, h.Keys())
	require.True(t, h.Has(h.Primary()))
	require.False(t, h.Has(h.Primary()+1))
	require.NotEqual(t, h.Primary(), newHandle(t).Primary())
}

func TestACiphertextBeginsWithItsKeysID(t *testing.T) {
	for template := range allTemplates {
		h, err := keyset.New(template)
		require.NoError(t, err)
		c, err := h.Encrypt([]byte("plaintext"), place)
		require.NoError(t, err)
		require.Equal(t, byte(0x01), c[0])
		require.Equal(t, h.Primary(), binary.BigEndian.Uint32(c[1:5]))
	}
}

func TestTheSamePlaintextIsNeverTheSameCiphertext(t *testing.T) {
	h := newHandle(t)
	seen := map[string]bool{}
	for range 1000 {
		c, err := h.Encrypt([]byte("plaintext"), place)
		require.NoError(t, err)
		require.False(t, seen[string(c)])
		seen[string(c)] = true
	}
}

func TestAValueOpensUnderItsKeyInItsPlaceOnly(t *testing.T) {
	for template := range allTemplates {
		h, err := keyset.New(template)
		require.NoError(t, err)
		for _, plaintext := range []string{"", "1", "plaintext"} {
			c, err := h.Encrypt([]byte(plaintext), place)
			require.NoError(t, err)
			got, err := h.Decrypt(c, place)
			require.NoError(t, err)
			require.Equal(t, plaintext, string(got))

			for _, other := range []string{"", "its plac", "its places", "its placE"} {
				_, err = h.Decrypt(c, []byte(other))
				require.Error(t, err, "%q", other)
			}
			_, err = newHandle(t).Decrypt(c, place)
			require.Error(t, err)
			for i := range len(c) * 8 {
				c[i/8] ^= 1 << (i % 8)
				_, err = h.Decrypt(c, place)
				require.Error(t, err, "bit %d", i)
				c[i/8] ^= 1 << (i % 8)
			}
			for n := range len(c) {
				_, err = h.Decrypt(c[:n], place)
				require.Error(t, err, "%d bytes", n)
			}
		}
	}
}

func TestANewPrimaryEncryptsAndTheOldKeysStillDecrypt(t *testing.T) {
	first := newHandle(t)
	c1, err := first.Encrypt([]byte("old"), place)
	require.NoError(t, err)

	second, err := first.WithPrimary(keyset.AES256GCM)
	require.NoError(t, err)
	third, err := second.WithPrimary(keyset.XAES256GCM)
	require.NoError(t, err)
	require.Equal(t, []keyset.Key{
		{ID: first.Primary(), Status: "enabled", Template: keyset.XChaCha20Poly1305},
		{ID: second.Primary(), Status: "enabled", Template: keyset.AES256GCM},
		{ID: third.Primary(), Primary: true, Status: "enabled", Template: keyset.XAES256GCM},
	}, third.Keys())

	plaintext, err := third.Decrypt(c1, place)
	require.NoError(t, err)
	require.Equal(t, "old", string(plaintext))
	c3, err := third.Encrypt([]byte("new"), place)
	require.NoError(t, err)
	require.Equal(t, third.Primary(), binary.BigEndian.Uint32(c3[1:5]))
}

func TestChangingAKeysetLeavesTheOldOneAsItWas(t *testing.T) {
	first := newHandle(t)
	id := first.Primary()
	c1, err := first.Encrypt([]byte("old"), place)
	require.NoError(t, err)

	second, err := first.WithPrimary(keyset.XChaCha20Poly1305)
	require.NoError(t, err)
	require.Equal(t, id, first.Primary())
	require.Len(t, first.Keys(), 1)
	require.False(t, first.Has(second.Primary()))
	c2, err := second.Encrypt([]byte("new"), place)
	require.NoError(t, err)
	_, err = first.Decrypt(c2, place)
	require.Error(t, err)

	third, err := second.Without(id)
	require.NoError(t, err)
	require.Equal(t, []keyset.Key{{ID: second.Primary(), Primary: true, Status: "enabled"}}, third.Keys())
	require.False(t, third.Has(id))
	_, err = third.Decrypt(c1, place)
	require.Error(t, err)
	plaintext, err := third.Decrypt(c2, place)
	require.NoError(t, err)
	require.Equal(t, "new", string(plaintext))

	require.True(t, second.Has(id))
	require.Len(t, second.Keys(), 2)
	for _, h := range []*keyset.Handle{first, second} {
		plaintext, err = h.Decrypt(c1, place)
		require.NoError(t, err)
		require.Equal(t, "old", string(plaintext))
	}
}

func TestThePrimaryKeyAndUnknownOnesAreNotTakenAway(t *testing.T) {
	first := newHandle(t)
	h, err := first.WithPrimary(keyset.XChaCha20Poly1305)
	require.NoError(t, err)
	old, unknown := first.Primary(), uint32(0)
	for h.Has(unknown) {
		unknown++
	}
	for _, ids := range [][]uint32{{h.Primary()}, {unknown}, {old, h.Primary()}, {old, unknown}, {old, old}} {
		_, err := h.Without(ids...)
		require.Error(t, err, "%08x", ids)
		require.Len(t, h.Keys(), 2, "%08x", ids)
	}
	_, err = first.Without(old)
	require.Error(t, err, "the only key")

	same, err := h.Without()
	require.NoError(t, err)
	requireSame(t, h, same)
}

func TestTheListOfKeysIsTheCallers(t *testing.T) {
	h := newHandle(t)
	id := h.Primary()
	h.Keys()[0] = keyset.Key{ID: id + 1}
	require.Equal(t, id, h.Primary())
	require.Equal(t, []keyset.Key{{ID: id, Primary: true, Status: "enabled"}}, h.Keys())
}

func TestAKeysetIsPrintedAsItsIDs(t *testing.T) {
	first := newHandle(t)
	h, err := first.WithPrimary(keyset.XChaCha20Poly1305)
	require.NoError(t, err)
	want := fmt.Sprintf("keyset %08x [%08x]", first.Primary(), h.Primary())
	require.Equal(t, want, h.String())
	require.Equal(t, want, fmt.Sprintf("%#v", h))

	var none *keyset.Handle
	require.Equal(t, "keyset <nil>", none.String())
}

// The race detector is the judge.
func TestOneKeysetServesManyGoroutines(t *testing.T) {
	h := newHandle(t)
	w := prepared(t, cheap(secretPassphrase))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			c, err := h.Encrypt([]byte("plaintext"), place)
			if err == nil {
				_, err = h.Decrypt(c, place)
			}
			next := h
			if err == nil {
				next, err = h.WithPrimary(keyset.XChaCha20Poly1305)
			}
			var wrapped []byte
			if err == nil {
				wrapped, err = w.Wrap(next, place)
			}
			if err == nil {
				_, err = w.Unwrap(wrapped, place)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	require.Len(t, h.Keys(), 1)
}
