package registry

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/readcache"
	"github.com/oxide-k/stateregistry/keyset"
)

func TestReadCache(t *testing.T) {
	for _, encrypted := range []bool{false, true} {
		t.Run(fmt.Sprintf("encrypted=%v", encrypted), func(t *testing.T) {
			suite.Run(t, &readCacheSuite{encrypted: encrypted})
		})
	}
}

// readCacheSuite has a registry with a cache, whose clock stands still, and another handle on the same file.
type readCacheSuite struct {
	suite.Suite
	encrypted  bool
	ctx        context.Context
	path       string
	reg, other *Registry
	now        time.Duration
}

func rawKey(b byte) keyset.KEK {
	key := make([]byte, keyset.RawKeySize)
	key[0] = b
	return keyset.RawKey(key)
}

func (s *readCacheSuite) open(path string, opts ...Option) *Registry {
	var reg *Registry
	var err error
	if s.encrypted {
		reg, err = OpenEncrypted(s.ctx, path, rawKey(1), opts...)
	} else {
		reg, err = Open(s.ctx, path, opts...)
	}
	s.Require().NoError(err)
	s.T().Cleanup(func() { s.NoError(reg.Close()) })
	return reg
}

// cached opens a registry with a cache that has the suite's clock.
func (s *readCacheSuite) cached(path string, opts ...Option) *Registry {
	reg := s.open(path, append(opts, WithReadCache(1<<20))...)
	reg.reads.entries = readcache.New(1<<20, cacheMaxAge, func() time.Duration { return s.now })
	return reg
}

func (s *readCacheSuite) SetupTest() {
	s.ctx, s.path, s.now = s.T().Context(), filepath.Join(s.T().TempDir(), "registry.db"), 0
	s.other = s.open(s.path)
	s.reg = s.cached(s.path)
	s.set(1)
	s.sees(1)
}

// set writes through the other handle.
func (s *readCacheSuite) set(n int) {
	_, err := s.other.SetConfig(s.ctx, "k", n)
	s.Require().NoError(err)
}

func (s *readCacheSuite) sees(want int) {
	got, err := Get[int](s.ctx, s.reg, "k")
	s.Require().NoError(err)
	s.Require().Equal(want, got)
}

// withoutDatabase runs f while any look at the database would panic.
func (s *readCacheSuite) withoutDatabase(f func()) {
	readers, observer := s.reg.readers, s.reg.reads.observer
	s.reg.readers, s.reg.reads.observer = nil, nil
	f()
	s.reg.readers, s.reg.reads.observer = readers, observer
}

func (s *readCacheSuite) TestTheLongestAgeIsWhatIsPromised() {
	s.Require().Equal(10*time.Millisecond, cacheMaxAge)
}

func (s *readCacheSuite) TestOthersCommitsAreSeenOnceTheNewestLookIsTooOld() {
	s.set(2)
	s.now += cacheMaxAge - 1
	s.withoutDatabase(func() { s.sees(1) })
	s.now++
	s.sees(2)
	_, err := s.other.DeleteConfig(s.ctx, "k")
	s.Require().NoError(err)
	s.withoutDatabase(func() { s.sees(2) })
	s.now += cacheMaxAge
	_, found, err := TryGet[int](s.ctx, s.reg, "k")
	s.Require().NoError(err)
	s.Require().False(found)
	s.set(3)
	s.withoutDatabase(func() {
		_, err := Get[int](s.ctx, s.reg, "k")
		s.Require().ErrorIs(err, ErrConfigNotFound)
	})
	s.now += cacheMaxAge
	s.sees(3)
}

// A look that found nothing about an entry leaves it where it is.
func (s *readCacheSuite) TestOnlyWhatChangedIsForgotten() {
	_, err := s.other.SetConfig(s.ctx, "l", 1)
	s.Require().NoError(err)
	s.now += cacheMaxAge
	_, err = Get[int](s.ctx, s.reg, "l")
	s.Require().NoError(err)
	s.Require().NotNil(s.reg.reads.entries.Peek("k"))
	s.set(2)
	s.now += cacheMaxAge
	s.reg.reads.look()
	s.Require().Nil(s.reg.reads.entries.Peek("k"))
	s.Require().NotNil(s.reg.reads.entries.Peek("l"))
}

// What this registry committed, or may have, is looked for whatever the clock says.
func (s *readCacheSuite) TestAnOwnCommitIsSeenWhateverTheClockSays() {
	s.set(2)
	s.sees(1)
	s.reg.committed()
	s.sees(2)
	_, err := s.reg.SetConfig(s.ctx, "k", 3)
	s.Require().NoError(err)
	s.sees(3)
	s.withoutDatabase(func() { s.sees(3) })
}

// Who was told of a revision does not read what was before it.
func (s *readCacheSuite) TestWhatWasShownIsNotDenied() {
	n := 1
	for name, show := range map[string]func(){
		"Revision": func() {
			_, err := s.reg.Revision(s.ctx)
			s.Require().NoError(err)
		},
		"Changes": func() {
			revision, err := s.other.Revision(s.ctx)
			s.Require().NoError(err)
			changes, err := s.reg.Changes(s.ctx, revision-1, 10)
			s.Require().NoError(err)
			s.Require().Len(changes, 1)
		},
		"View": func() {
			s.Require().NoError(s.reg.View(s.ctx, func(context.Context, *Tx) error { return nil }))
		},
		"Setting.Watch": func() {
			for got, err := range (Setting[int]{Name: "k"}).Watch(s.ctx, s.reg) {
				s.Require().NoError(err)
				s.Require().Equal(n, got)
				break
			}
		},
	} {
		n++
		s.set(n)
		s.sees(n - 1)
		show()
		s.Require().NotPanics(func() { s.sees(n) }, name)
	}
}

func (s *readCacheSuite) TestWhoIsToldOfAChangeReadsIt() {
	ctx, cancel := context.WithTimeout(s.ctx, 2*time.Minute)
	defer cancel()
	revision, err := s.other.Revision(ctx)
	s.Require().NoError(err)
	n := 2
	s.set(n)
	for _, err := range s.reg.Watch(ctx, revision) {
		s.Require().NoError(err)
		s.sees(n)
		if n++; n > 10 {
			break
		}
		s.set(n)
		s.sees(n - 1)
	}
	s.Require().Equal(11, n, "the watch ended")
}

func (s *readCacheSuite) TestALogThatTellsTooLittleOrTooMuchMakesItForgetEverything() {
	_, err := s.other.SetConfig(s.ctx, "same", 1)
	s.Require().NoError(err)
	keep := func() {
		s.now += cacheMaxAge
		_, err := Get[int](s.ctx, s.reg, "same")
		s.Require().NoError(err)
		s.Require().NotNil(s.reg.reads.entries.Peek("same"))
	}
	n := 1
	change := func(times int) {
		s.Require().NoError(s.other.Update(s.ctx, func(ctx context.Context, tx *Tx) error {
			for range times {
				n++
				if _, err := tx.SetConfig(ctx, "k", n); err != nil {
					return err
				}
			}
			return nil
		}))
		s.now += cacheMaxAge
		s.sees(n)
	}
	keep()
	change(maxForgotten)
	s.Require().NotNil(s.reg.reads.entries.Peek("same"), "not too many")
	change(maxForgotten + 1)
	s.Require().Nil(s.reg.reads.entries.Peek("same"), "too many")
	keep()
	change(1)
	s.Require().NotNil(s.reg.reads.entries.Peek("same"))

	limiting := s.open(s.path, WithLogLimit(1))
	s.now += cacheMaxAge
	s.sees(n)
	keep()
	change(200)
	s.Require().Nil(s.reg.reads.entries.Peek("same"), "the log no longer reaches back")
	s.Require().NotNil(limiting)

	keep()
	s.reg.reads.newest = db.Change{Revision: 1 << 40} // as if an older file had been put in its place
	change(1)
	s.Require().Nil(s.reg.reads.entries.Peek("same"), "the newest revision is lower than the one that was known")
}

// In memory a look is not possible while somebody writes: whoever reads waits for that, as without a cache.
func (s *readCacheSuite) TestInMemoryAnOpenUpdateIsWaitedForWhereALookIsDue() {
	s.reg = s.cached(InMemory, WithLockTimeout(time.Millisecond))
	s.other = s.reg
	s.set(1)
	s.sees(1)
	s.Require().NoError(s.reg.Update(s.ctx, func(ctx context.Context, tx *Tx) error {
		_, err := tx.SetConfig(ctx, "k", 2)
		s.Require().NoError(err)
		s.sees(1) // a context of its own: it is outside
		s.now += cacheMaxAge
		_, err = Get[int](s.ctx, s.reg, "k")
		s.Require().ErrorIs(err, ErrBusy)
		return nil
	}))
	s.sees(2)
}

func (s *readCacheSuite) TestNothingIsLeftAfterClose() {
	_, err := s.reg.SetConfig(s.ctx, "l", 1)
	s.Require().NoError(err)
	s.sees(1)
	s.Require().NotNil(s.reg.reads.observer)
	s.Require().NoError(s.reg.Close())
	s.Require().Nil(s.reg.reads.observer)
	s.Require().Nil(s.reg.reads.entries.Peek("k"))
	_, err = Get[int](s.ctx, s.reg, "k")
	s.Require().ErrorIs(err, ErrClosed)
	s.reg.committed() // of a callback that is late
}

// Its connection is opened when it is needed, and anew where database/sql gave it up.
func (s *readCacheSuite) TestItsConnectionComesAndGoes() {
	fresh := s.cached(s.path)
	s.Require().Nil(fresh.reads.observer)
	s.Require().NoError(s.reg.reads.observer.Close())
	for n := 2; n < 5; n++ {
		s.set(n)
		s.now += cacheMaxAge
		s.sees(n)
		s.withoutDatabase(func() { s.sees(n) })
	}
}
