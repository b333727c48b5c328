package commit

import (
	"context"
	"runtime"
	"time"

	"github.com/oxide-k/stateregistry/internal/sqlite"
)

// A call waits for its turn, for the lock and for the commit, all of it together no longer than the limit. The tests look at
// what is left of it, and not at how long anything takes.

// calls returns the ways in, each with a write of one row.
func (s *queueSuite) calls() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Do":     func(ctx context.Context) error { return s.queue.Do(ctx, inserting) },
		"DoBulk": func(ctx context.Context) error { return s.queue.DoBulk(ctx, insert) },
		"Exclusive": func(ctx context.Context) error {
			return s.queue.Exclusive(ctx, func(tx *sqlite.Tx) error {
				if err := insert(tx.Conn()); err != nil {
					return err
				}
				return tx.Commit(ctx)
			})
		},
	}
}

// spent returns a context whose calls have waited as long as they may.
func (s *queueSuite) spent() context.Context {
	wait := sqlite.Wait{Limit: 1}.Start()
	for wait.Left() > 0 {
		runtime.Gosched()
	}
	return sqlite.WithWait(s.T().Context(), wait)
}

func (s *queueSuite) TestACallsWaitStartsWithTheCall() {
	s.queue.wait.Limit = time.Hour
	for name, call := range s.calls() {
		s.Run(name, func() {
			release, done := s.hold(), make(chan struct{})
			go func() {
				defer close(done)
				s.NoError(call(s.T().Context()))
			}()
			s.waiting(1)
			s.queue.mu.Lock()
			wait := s.queue.line[0].wait
			s.queue.mu.Unlock()
			for left := wait.Left(); wait.Left() == left; { // or it never ends
				runtime.Gosched()
			}
			s.Require().Less(wait.Left(), time.Hour)
			s.Require().Equal(name == "DoBulk", wait.Eager)
			release()
			s.wait(done)
		})
	}
}

func (s *queueSuite) TestWhoHasWaitedForTheTurnDoesNotWaitAgainForTheLock() {
	s.queue.wait.Limit = time.Hour
	other, err := sqlite.OpenWriter(s.T().Context(), s.settings, s.queue.wait)
	s.Require().NoError(err)
	defer func() { s.Require().NoError(other.Close()) }()
	lock, err := sqlite.BeginWrite(s.T().Context(), other, s.queue.wait)
	s.Require().NoError(err)
	for name, call := range s.calls() {
		s.True(sqlite.IsBusy(call(s.spent())), name)
	}
	lock.Rollback()
	lock.Release()
	s.holds(0)
	for name, call := range s.calls() {
		s.NoError(call(s.spent()), "%s: there is nothing to wait for", name)
	}
}

func (s *queueSuite) TestWhoHasWaitedForTheLockDoesNotWaitAgainForTheTurn() {
	s.queue.wait.Limit = time.Hour
	release := s.hold()
	for name, call := range s.calls() {
		s.ErrorIs(call(s.spent()), ErrTimeout, name)
	}
	release()
	s.holds(0)
}

// A write that must run again alone has waited since it was called. Those after it do not wait one after another.
func (s *queueSuite) TestARunAloneWaitsForWhatIsLeft() {
	s.queue.wait.Limit = time.Hour
	other, err := sqlite.OpenWriter(s.T().Context(), s.settings, s.queue.wait)
	s.Require().NoError(err)
	defer func() { s.Require().NoError(other.Close()) }()
	lock, err := sqlite.BeginWrite(s.T().Context(), other, s.queue.wait)
	s.Require().NoError(err)
	wait := sqlite.Wait{Limit: 1}.Start()
	for wait.Left() > 0 {
		runtime.Gosched()
	}
	s.Require().True(sqlite.IsBusy(s.queue.alone(&request{ctx: s.T().Context(), wait: wait, write: &inserting})))
	lock.Rollback()
	lock.Release()
}
