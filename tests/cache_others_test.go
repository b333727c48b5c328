package tests

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/keyset"
	"github.com/oxide-k/stateregistry/registry"
)

func TestReadCacheAndOthers(t *testing.T) {
	runInModes(t, func() *cacheOthersSuite { return &cacheOthersSuite{} })
}

// cacheOthersSuite is about a registry with a cache, and others who write what it reads. That it takes them 10 ms at most
// holds the registry's own test, whose clock is a fake.
type cacheOthersSuite struct{ rowSuite }

func (s *cacheOthersSuite) SetupTest() {
	s.path = s.mode.path(s.T())
	s.reg = s.open(registry.WithReadCache(cacheBytes))
}

// comesTo reads until what is read is what it should come to. (That it takes no longer than 10 ms shows a test with a fake
// clock: how long a busy machine takes is no matter here.)
func comesTo(t testing.TB, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); {
		require.Less(t, time.Since(began), patience, "it is not seen")
	}
}

func (s *cacheOthersSuite) comesTo(key string, want int) {
	s.T().Helper()
	comesTo(s.T(), func() bool {
		got, err := registry.Setting[int]{Name: key, Default: -1}.Get(s.T().Context(), s.reg)
		s.Require().NoError(err)
		return got == want
	})
}

// Who is told of another's write by a refusal, or read it in an Update that came to nothing, does not read what was before.
func (s *cacheOthersSuite) TestAfterARefusalNobodyReadsWhatWasBefore() {
	if s.mode.memory {
		s.T().Skip("each handle in memory is a database of its own")
	}
	ctx := s.T().Context()
	other := s.open()
	defer func() { s.Require().NoError(other.Close()) }()
	undone := errors.New("undone")
	for i := range 20 {
		lock, counter := fmt.Sprint("lock/", i), fmt.Sprint("counter/", i)
		for _, key := range []string{lock, counter} {
			_, found, err := registry.TryGet[int](ctx, s.reg, key)
			s.Require().NoError(err)
			s.Require().False(found)
			_, err = other.SetConfig(ctx, key, i)
			s.Require().NoError(err)
		}
		_, err := s.reg.SetConfig(ctx, lock, -1, registry.IfRevision(0))
		s.Require().ErrorIs(err, registry.ErrConflict)
		got, err := registry.Get[int](ctx, s.reg, lock)
		s.Require().NoError(err)
		s.Require().Equal(i, got)

		s.Require().ErrorIs(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			read, err := registry.Get[int](ctx, tx, counter)
			s.Require().NoError(err)
			s.Require().Equal(i, read)
			return undone
		}), undone)
		got, err = registry.Get[int](ctx, s.reg, counter)
		s.Require().NoError(err)
		s.Require().Equal(i, got)
	}
}

func (s *cacheOthersSuite) TestOthersCommitsAreSeen() {
	if s.mode.memory {
		s.T().Skip("each handle in memory is a database of its own")
	}
	ctx := s.T().Context()
	other := s.open()
	defer func() { s.Require().NoError(other.Close()) }()
	reading := s.open(registry.WithReadCache(cacheBytes), registry.WithReadOnly())
	defer func() { s.Require().NoError(reading.Close()) }()
	process := startRole(s.T(), "set", s.mode.name, s.path)
	program := s.raw(s.path, "")
	s.comesTo("k", -1)
	n := 0
	for range 3 {
		for name, write := range map[string]func() error{
			"handle":  func() error { _, err := other.SetConfig(ctx, "k", n); return err },
			"process": func() error { process.say(fmt.Sprint("k ", n)); process.hear(); return nil },
			"program": func() error {
				text := sealed(s.T(), other, "k", fmt.Sprint(n))
				_, err := program.ExecContext(ctx, `INSERT INTO config (key, value, updated_at) VALUES ('k', ?, ?)
					ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at`,
					text, "2026-01-01T00:00:00.000000000+00:00")
				return err
			},
		} {
			n++
			s.Require().NoError(write(), name)
			s.comesTo("k", n)
			comesTo(s.T(), func() bool {
				got, err := registry.Get[int](ctx, reading, "k")
				s.Require().NoError(err)
				return got == n
			})
		}
		_, err := other.DeleteConfig(ctx, "k")
		s.Require().NoError(err)
		s.comesTo("k", -1)
		_, err = other.SetConfig(ctx, "k", n)
		s.Require().NoError(err)
		s.comesTo("k", n)
	}
	process.wait()
}

// roleSet writes the entries that it is told: a key and its JSON.
func roleSet(args []string) error {
	reg, err := modeNamed(args[0]).open(background, args[1])
	if err != nil {
		return err
	}
	for lines := hearing(); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if _, err := reg.SetConfig(background, key, json.RawMessage(value)); err != nil {
			return err
		}
		saying("done")
	}
	return reg.Close()
}

// Counters only grow: whoever reads one never meets a smaller value than before, and whoever wrote one reads what he wrote, or
// what came after it.
func (s *cacheOthersSuite) TestNobodyReadsAnOlderValueAfterANewerOne() {
	ctx := s.T().Context()
	handles := []*registry.Registry{s.reg}
	small := registry.WithReadCache(4 << 10) // which drives out what it just kept
	if s.mode.memory {
		handles = append(handles, s.fresh(small))
	} else {
		other := s.open(small)
		defer func() { s.Require().NoError(other.Close()) }()
		handles = append(handles, other)
	}
	const keys, readers = 8, 4
	key := func(i int) string { return fmt.Sprint("counter/", i%keys) }
	var writing, reading sync.WaitGroup
	var done atomic.Bool
	for _, reg := range handles {
		for w := range 2 {
			writing.Go(func() {
				for i := range s.mode.rounds(80) {
					wrote, err := registry.Modify(ctx, reg, key(i+w), increment)
					s.NoError(err)
					read, err := registry.Get[int](ctx, reg, key(i+w))
					s.NoError(err)
					s.LessOrEqual(wrote, read, "a write that returned is read by whoever wrote it")
				}
			})
		}
		for r := range readers {
			reading.Go(func() {
				var last [keys]int
				for i := r; !done.Load(); i++ {
					var got int
					var err error
					if i%3 == 0 {
						got, err = registry.Setting[int]{Name: key(i)}.Get(ctx, reg)
					} else {
						got, _, err = registry.TryGet[int](ctx, reg, key(i))
					}
					s.NoError(err)
					s.LessOrEqual(last[i%keys], got, "it went back")
					last[i%keys] = got
				}
			})
		}
	}
	writing.Wait()
	done.Store(true)
	reading.Wait()
}

// TestReadCacheFollowsEncryptAndDecrypt: the handles that were open are locked out, with a cache as without.
func TestReadCacheFollowsEncryptAndDecrypt(t *testing.T) {
	ctx, path, kek := t.Context(), filepath.Join(t.TempDir(), "registry.db"), kekOf(1)
	plain, err := registry.Open(ctx, path, registry.WithReadCache(cacheBytes))
	require.NoError(t, err)
	defer plain.Close()
	_, err = plain.SetConfig(ctx, "k", canary)
	require.NoError(t, err)
	read := func(reg *registry.Registry) error {
		value, err := registry.Get[string](ctx, reg, "k")
		if err == nil {
			require.Equal(t, canary, value)
		}
		return err
	}
	refusedFrom := func(reg *registry.Registry, want error) {
		comesTo(t, func() bool { return read(reg) != nil })
		for range 3 {
			require.ErrorIs(t, read(reg), want)
		}
	}
	require.NoError(t, read(plain))
	child := startRole(t, "encrypt", path)
	require.Equal(t, "ready", child.hear())
	child.say("go")
	require.Equal(t, "done", child.hear())
	child.wait()
	refusedFrom(plain, registry.ErrEncrypted)

	encrypted, err := registry.OpenEncrypted(ctx, path, kek, registry.WithReadCache(cacheBytes))
	require.NoError(t, err)
	defer encrypted.Close()
	require.NoError(t, read(encrypted))
	require.NoError(t, registry.Decrypt(ctx, path, kek))
	refusedFrom(encrypted, registry.ErrNotEncrypted)
	comesTo(t, func() bool { return read(plain) == nil })
}

// TestReadCacheOfARevokedKEKIsEmpty: plaintext that was read before is not given out either.
func TestReadCacheOfARevokedKEKIsEmpty(t *testing.T) {
	for name, next := range map[string]keyset.KEK{"raw": kekOf(2), "another kind": keyset.AEAD("kms", fixedCipher())} {
		t.Run(name, func(t *testing.T) {
			ctx, path := t.Context(), filepath.Join(t.TempDir(), "registry.db")
			revoked, err := openKEK1(ctx, path, registry.WithReadCache(cacheBytes))
			require.NoError(t, err)
			defer revoked.Close()
			_, err = revoked.SetConfig(ctx, "k", canary)
			require.NoError(t, err)
			number := registry.Setting[string]{Name: "k"}
			got, err := number.Get(ctx, revoked)
			require.NoError(t, err)
			require.Equal(t, canary, got)

			other, err := openKEK1(ctx, path)
			require.NoError(t, err)
			defer other.Close()
			require.NoError(t, other.Rewrap(ctx, next))
			_, err = number.Get(ctx, revoked)
			require.NoError(t, err, "the keys are the same")
			_, err = other.RotateKeyset(ctx)
			require.NoError(t, err)
			comesTo(t, func() bool { _, err := number.Get(ctx, revoked); return err != nil })
			for range 3 {
				_, err = number.Get(ctx, revoked)
				require.ErrorIs(t, err, registry.ErrWrongKey)
				_, err = registry.Get[json.RawMessage](ctx, revoked, "k")
				require.ErrorIs(t, err, registry.ErrWrongKey)
			}
		})
	}
}
