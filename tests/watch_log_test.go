package tests

import (
	"context"
	"fmt"
	"sync"

	"github.com/oxide-k/stateregistry/registry"
)

// What becomes of the log, and who else writes it.

func (s *watchSuite) TestCompactedAtTheStart() {
	reg := s.fresh(registry.WithLogLimit(64))
	for range 300 {
		s.set(reg, "k")
	}
	changes, err := reg.Changes(s.T().Context(), 299, 1)
	s.Require().NoError(err)
	s.Require().Len(changes, 1)
	for _, after := range []int64{0, 1, 150, 301, 1 << 60} {
		s.Require().ErrorIs(beginWatch(s.T(), reg, after).end(), registry.ErrCompacted, "%d", after)
	}
	w := beginWatch(s.T(), reg, 290)
	s.Require().Equal(upTo(291, 300), w.revisions(10))
	w.stop()
}

func (s *watchSuite) TestWhoFallsOutOfTheLogIsTold() {
	reg := s.fresh(registry.WithLogLimit(10))
	slow, fast := beginWatch(s.T(), reg, 0), beginWatch(s.T(), reg, 0)
	for i := range int64(300) {
		s.set(reg, "k")
		s.Require().Equal(i+1, fast.next().Revision)
	}
	var last int64 // what it had read already comes first, in order
	for {
		select {
		case change := <-slow.changes:
			s.Require().Equal(last+1, change.Revision)
			last = change.Revision
			continue
		case err := <-slow.ended:
			s.Require().ErrorIs(err, registry.ErrCompacted)
		}
		break
	}
	s.Require().Less(last, int64(290))
	fast.stop()
}

// Rotation and rewrapping write no revision, and wake nobody.
func (s *watchSuite) TestReencryptionIsNoChange() {
	if !s.mode.encrypted() {
		s.T().Skip("there is nothing to rotate")
	}
	s.set(s.reg, "a", "b")
	w := beginWatch(s.T(), s.reg, registry.FromNow)
	_, err := s.reg.RotateKeyset(s.T().Context())
	s.Require().NoError(err)
	s.Require().NoError(s.reg.Rewrap(s.T().Context(), s.mode.kek))
	s.set(s.reg, "c")
	change := w.next()
	s.Require().Equal("c", change.Key)
	s.Require().EqualValues(3, change.Revision)
}

func (s *watchSuite) TestReadOnlyRegistriesWatchToo() {
	if s.mode.memory {
		s.T().Skip("there is no file to open twice")
	}
	s.set(s.reg, "a")
	reader := s.open(registry.WithReadOnly())
	w := beginWatch(s.T(), reader, 0)
	s.Require().EqualValues(1, w.next().Revision)
	s.set(s.reg, "b")
	s.Require().EqualValues(2, w.next().Revision)
	s.Require().NoError(reader.Close())
	s.Require().ErrorIs(w.end(), registry.ErrClosed)
}

// Other programs' commits are noticed, whatever they write with.
func (s *watchSuite) TestOthersChangesCome() {
	if s.mode.memory {
		s.T().Skip("there is no file to open twice")
	}
	w := beginWatch(s.T(), s.reg, 0)
	other := s.open()
	s.set(other, "a")
	s.Require().EqualValues(1, w.next().Revision)
	_, err := s.raw(s.path, "?_busy_timeout=10000").ExecContext(s.T().Context(),
		`INSERT INTO modules (id, name, version, kind, state, updated_at) VALUES ('m', '', '', '"wasm"', '"loaded"', '')`)
	s.Require().NoError(err)
	s.Require().Equal(registry.Change{Revision: 2, Subject: registry.SubjectModule, Key: "m", Op: registry.OpPut}, w.next())
	_, err = other.DeleteModule(s.T().Context(), "m")
	s.Require().NoError(err)
	s.Require().Equal(registry.OpDelete, w.next().Op)
	s.Require().NoError(other.Close())
}

// Whoever watches waits for the locks of others, and for its turn among those who read, as long as it takes: many that are
// behind at once, with a registry that waits for nothing otherwise, end none of them.
func (s *watchSuite) TestWatchersAreNotEndedByEachOther() {
	ctx, cancel := context.WithTimeout(s.T().Context(), patience)
	defer cancel()
	reg := s.fresh(registry.WithLockTimeout(0))
	const each, updates = 1500, 3
	var loops sync.WaitGroup
	for range 20 {
		loops.Go(func() {
			want := int64(1)
			for change, err := range reg.Watch(ctx, 0) {
				if !s.NoError(err) || !s.Equal(want, change.Revision) {
					return
				}
				if want++; want > each*updates {
					return
				}
			}
			s.Fail("it ended", "before %d", want)
		})
		loops.Go(func() {
			for n, err := range threads.Watch(ctx, reg) {
				if !s.NoError(err) || n == updates {
					return
				}
			}
			s.Fail("it ended")
		})
	}
	for update := range updates {
		for { // in memory readers hold it off, and it is not to wait
			err := reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
				for i := range each - 1 {
					if _, err := tx.SetConfig(ctx, fmt.Sprint("k", i%7), i); err != nil {
						return err
					}
				}
				_, err := threads.Set(ctx, tx, update+1)
				return err
			})
			if err == nil {
				break
			}
			s.Require().ErrorIs(err, registry.ErrBusy)
		}
	}
	loops.Wait()
}
