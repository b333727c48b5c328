package registry

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A revoked KEK opens nothing that a look could know of.
func TestACacheDoesNotOutliveTheKEK(t *testing.T) {
	s := &readCacheSuite{encrypted: true}
	s.SetT(t)
	s.SetupTest()
	require.NoError(t, s.other.Rewrap(s.ctx, rawKey(2)))
	s.now += cacheMaxAge
	s.sees(1) // no value was touched
	ring, err := s.other.newest(s.ctx)
	require.NoError(t, err)
	r := rotation{Registry: s.other, progress: &progress{}}
	ring, err = r.begin(s.ctx, ring)
	require.NoError(t, err)
	s.now += cacheMaxAge
	s.sees(1) // nor yet
	s.withoutDatabase(func() { s.sees(1) })

	_, err = r.reencrypt(s.ctx, ring) // the rotation dies here: neither revision nor generation tell of it
	require.NoError(t, err)
	s.withoutDatabase(func() { s.sees(1) })
	s.now += cacheMaxAge
	for range 2 {
		_, err = Get[int](s.ctx, s.reg, "k")
		require.ErrorIs(t, err, ErrWrongKey)
		require.Nil(t, s.reg.reads.entries.Peek("k"))
	}
	_, err = s.other.RotateKeyset(s.ctx)
	require.NoError(t, err)
	_, err = Get[int](s.ctx, s.reg, "k")
	require.ErrorIs(t, err, ErrWrongKey)
}

// Who has the KEK goes on through a rotation, from the cache again when that is over.
func TestACacheGoesOnAfterARotation(t *testing.T) {
	s := &readCacheSuite{encrypted: true}
	s.SetT(t)
	s.SetupTest()
	for range 3 {
		_, err := s.other.RotateKeyset(s.ctx)
		require.NoError(t, err)
		s.now += cacheMaxAge
		s.sees(1)
		_, err = s.other.SetConfig(s.ctx, "l", 1)
		require.NoError(t, err)
		s.now += cacheMaxAge
		s.reg.reads.look()
		s.withoutDatabase(func() { s.sees(1) })
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	s := &readCacheSuite{encrypted: true}
	s.SetT(t)
	s.SetupTest()
	keyless, err := Open(s.ctx, s.path, WithReadCache(1<<20))
	require.NoError(t, err)
	defer keyless.Close()
	for range 2 {
		_, err := Get[int](s.ctx, keyless, "k")
		require.ErrorIs(t, err, ErrEncrypted)
		_, err = Get[int](s.ctx, keyless, "none")
		require.ErrorIs(t, err, ErrConfigNotFound)
	}
	require.Nil(t, keyless.reads.entries.Peek("k"))
	require.NotNil(t, keyless.reads.entries.Peek("none"))
}
