package tests

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestConcurrency(t *testing.T) {
	runInModes(t, func() *concurrencySuite { return &concurrencySuite{} })
}

// concurrencySuite has many goroutines at work at once; run it under the race detector too.
type concurrencySuite struct{ callSuite }

const workers = 64

// rand is a source of its own for each goroutine. The seed is printed.
func (s *concurrencySuite) rand() func(worker int) *rand.Rand {
	seed := randomSeed(s.T())
	s.T().Logf("%s=%d", seedVar, seed)
	return func(worker int) *rand.Rand { return rand.New(rand.NewPCG(seed, uint64(worker))) }
}

// together runs work in all goroutines at once, and waits for them.
func (s *concurrencySuite) together(work func(worker int)) {
	s.soon(func() {
		var group sync.WaitGroup
		for worker := range workers {
			group.Go(func() { work(worker) })
		}
		group.Wait()
	})
}

func increment(n int, _ bool) (int, error) { return n + 1, nil }

func (s *concurrencySuite) TestCountersAreExact() {
	ctx := s.T().Context()
	const rounds = 8
	s.together(func(worker int) {
		for range rounds {
			_, err := registry.Modify(ctx, s.reg, "all", increment)
			s.NoError(err)
			_, err = registry.Modify(ctx, s.reg, fmt.Sprintf("some/%d", worker%4), increment)
			s.NoError(err)
		}
	})
	all, err := registry.Get[int](ctx, s.reg, "all")
	s.Require().NoError(err)
	s.Require().Equal(workers*rounds, all)
	for i := range 4 {
		some, err := registry.Get[int](ctx, s.reg, fmt.Sprintf("some/%d", i))
		s.Require().NoError(err)
		s.Require().Equal(workers*rounds/4, some)
	}
}

func (s *concurrencySuite) TestRevisionsAreDistinctConsecutiveAndInTheLog() {
	ctx := s.T().Context()
	first := s.revision(s.reg)
	var mu sync.Mutex
	var deleted atomic.Int64 // deletions tell no revision
	written := map[int64]string{}
	note := func(revision int64, key string, err error) {
		if !s.NoError(err) {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		s.NotContains(written, revision)
		written[revision] = key
	}
	source := s.rand()
	s.together(func(worker int) {
		r := source(worker)
		for range 8 {
			key := fmt.Sprintf("key/%d", r.IntN(20))
			switch r.IntN(6) {
			case 0:
				s.NoError(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
					for range 2 {
						revision, err := tx.SetConfig(ctx, key, worker)
						note(revision, key, err)
					}
					return nil
				}))
			case 1:
				m := s.metadata()
				m.ID = key
				revision, err := s.reg.UpsertModule(ctx, m, registry.StateLoaded)
				note(revision, key, err)
			case 2:
				found, err := s.reg.DeleteConfig(ctx, key)
				s.NoError(err)
				if found {
					deleted.Add(1)
				}
			case 3:
				_, err := s.reg.SetConfig(ctx, key, worker, registry.IfRevision(1<<40))
				s.ErrorIs(err, registry.ErrConflict)
			default:
				revision, err := s.reg.SetConfig(ctx, key, worker)
				note(revision, key, err)
			}
		}
	})
	changes, err := s.reg.Changes(ctx, first, 1<<20)
	s.Require().NoError(err)
	s.Require().Len(changes, len(written)+int(deleted.Load()))
	for i, change := range changes {
		s.Require().Equal(first+1+int64(i), change.Revision)
		if change.Op == registry.OpPut {
			s.Require().Equal(written[change.Revision], change.Key)
		}
	}
	entries, err := s.reg.ListConfig(ctx, "")
	s.Require().NoError(err)
	for _, entry := range entries {
		s.Require().Equal(written[entry.Revision], entry.Key)
	}
}

// TestEachSnapshotIsConsistent moves amounts between two keys whose sum is always zero, and has others look.
func (s *concurrencySuite) TestEachSnapshotIsConsistent() {
	ctx := s.T().Context()
	move := func(amount int) error {
		return s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			if _, err := tx.SetConfig(ctx, "sum/a", amount); err != nil {
				return err
			}
			_, err := tx.SetConfig(ctx, "sum/b", -amount)
			return err
		})
	}
	s.Require().NoError(move(1))
	source := s.rand()
	s.together(func(worker int) {
		r := source(worker)
		for range 8 {
			switch worker % 4 {
			case 0:
				s.NoError(move(r.IntN(1000)))
			case 1:
				s.NoError(s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
					a, err := registry.Get[int](ctx, tx, "sum/a")
					s.NoError(err)
					b, err := registry.Get[int](ctx, tx, "sum/b")
					s.NoError(err)
					s.Zero(a + b)
					return nil
				}))
			case 2:
				entries, err := s.reg.ListConfig(ctx, "sum/")
				s.NoError(err)
				s.Len(entries, 2)
				sum := 0
				for _, entry := range entries {
					var n int
					s.NoError(entry.Decode(&n))
					sum += n
				}
				s.Zero(sum)
			default:
				var apart int // SQL cannot add up what may be encrypted, but rows of one transaction have revisions in a row
				s.NoError(s.reg.ReadDB().QueryRowContext(ctx,
					"SELECT max(revision) - min(revision) FROM config WHERE key >= 'sum/' AND key < 'sum0'").Scan(&apart))
				s.Equal(1, apart)
			}
		}
	})
}

// TestEverythingAtOnce mixes all methods; what each goroutine wrote last under its own keys is what it finds.
func (s *concurrencySuite) TestEverythingAtOnce() {
	ctx := s.T().Context()
	source := s.rand()
	s.fill(s.reg)
	s.together(func(worker int) {
		r := source(worker)
		own, value := fmt.Sprintf("own/%02d", worker), -1
		for i := range 12 {
			switch r.IntN(8) {
			case 0:
				_, err := s.reg.SetConfig(ctx, own, i)
				s.NoError(err)
				value = i
			case 1:
				_, err := s.reg.DeleteConfig(ctx, own)
				s.NoError(err)
				value = -1
			case 2:
				got, err := registry.Modify(ctx, s.reg, own, increment)
				s.NoError(err)
				value = got
			case 3:
				_, err := s.reg.ListModules(ctx)
				s.NoError(err)
			case 4:
				_, err := s.reg.ListConfig(ctx, "own/")
				s.NoError(err)
			case 5:
				_, err := s.reg.SetModuleState(ctx, "kernel", registry.StateRunning)
				s.NoError(err)
			case 6:
				cancelled, cancel := context.WithCancel(ctx)
				cancel()
				_, err := s.reg.SetConfig(cancelled, own, "never")
				s.ErrorIs(err, context.Canceled)
			default:
				_, err := s.reg.Changes(ctx, 0, 10)
				s.NoError(err)
			}
			got, found, err := registry.TryGet[int](ctx, s.reg, own)
			s.NoError(err)
			s.Equal(value >= 0, found)
			if found {
				s.Equal(value, got, "a write that returned is read by whoever wrote it")
			}
		}
	})
}

func (s *concurrencySuite) TestTwoHandlesOnOneFile() {
	if s.mode.memory {
		s.T().Skip("each handle in memory is a database of its own")
	}
	ctx := s.T().Context()
	other := s.open()
	defer func() { s.NoError(other.Close()) }()
	handles := []*registry.Registry{s.reg, other}
	const rounds = 6
	s.together(func(worker int) {
		mine, others := handles[worker%2], handles[(worker+1)%2]
		for i := range rounds {
			_, err := registry.Modify(ctx, mine, "all", increment)
			s.NoError(err)
			key := fmt.Sprintf("own/%02d", worker)
			_, err = mine.SetConfig(ctx, key, i)
			s.NoError(err)
			seen, err := registry.Get[int](ctx, others, key)
			s.NoError(err)
			s.Equal(i, seen, "a write that returned is seen by the other handle")
		}
	})
	all, err := registry.Get[int](ctx, other, "all")
	s.Require().NoError(err)
	s.Require().Equal(workers*rounds, all)
	s.Require().Equal(s.revision(s.reg), s.revision(other))
}
