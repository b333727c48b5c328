package tests

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestContexts(t *testing.T) {
	runInModes(t, func() *contextsSuite { return &contextsSuite{} })
}

type contextsSuite struct{ callSuite }

func (s *contextsSuite) TestAContextThatHasEndedDoesNothing() {
	s.fill(s.reg)
	before := s.revision(s.reg)
	cancelled, cancel := context.WithCancel(s.T().Context())
	cancel()
	expired, cancel := context.WithDeadline(s.T().Context(), time.Now().Add(-time.Second))
	defer cancel()
	for _, c := range s.all(s.reg) {
		s.Require().ErrorIs(c.run(cancelled), context.Canceled, c.name)
		s.Require().ErrorIs(c.run(expired), context.DeadlineExceeded, c.name)
	}
	_, err := s.mode.open(cancelled, s.mode.path(s.T()))
	s.Require().ErrorIs(err, context.Canceled)
	s.Require().Equal(before, s.revision(s.reg))
}

func (s *contextsSuite) TestAContextThatHasEndedDoesNothingInATransaction() {
	s.fill(s.reg)
	before := s.revision(s.reg)
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		calls := append(s.reads(tx), s.writes(tx)...)
		for _, c := range append(calls, s.statements(tx)...) {
			s.Require().ErrorIs(c.run(cancelled), context.Canceled, c.name)
		}
		for _, c := range append(s.reads(tx), s.statements(tx)...) {
			s.Require().NoError(c.run(ctx), "%s: the transaction goes on", c.name)
		}
		return nil
	}))
	s.Require().Equal(before, s.revision(s.reg))
}

// waiting are the writes whose callers stop waiting.
func (s *contextsSuite) waiting() []call {
	calls := s.writes(s.reg)
	return append(calls, call{"Update", func(ctx context.Context) error {
		return s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			_, err := tx.SetConfig(ctx, "late", 1)
			return errors.Join(err, errors.New("the callback ran"))
		})
	}})
}

func (s *contextsSuite) TestADeadlineWithdrawsAWriteThatWaitsForItsTurn() {
	s.fill(s.reg)
	before := s.revision(s.reg)
	s.Require().NoError(s.reg.Update(s.T().Context(), func(context.Context, *registry.Tx) error {
		for _, c := range s.waiting() {
			ctx, cancel := context.WithTimeout(s.T().Context(), 5*time.Millisecond)
			s.Require().ErrorIs(c.run(ctx), context.DeadlineExceeded, c.name)
			cancel()
		}
		return nil
	}))
	s.Require().Equal(before, s.revision(s.reg))
	_, err := s.reg.SetConfig(s.T().Context(), "next", 1) // a withdrawn write would come before it
	s.Require().NoError(err)
	s.Require().Equal(before+1, s.revision(s.reg))
}

func (s *contextsSuite) TestADeadlineWithdrawsAWriteThatWaitsForAnotherProcess() {
	if s.mode.memory {
		s.T().Skip("no other process has a database in memory")
	}
	s.fill(s.reg)
	before := s.revision(s.reg)
	release := s.lock()
	for _, c := range s.waiting() {
		ctx, cancel := context.WithTimeout(s.T().Context(), 5*time.Millisecond)
		s.Require().ErrorIs(c.run(ctx), context.DeadlineExceeded, c.name)
		cancel()
	}
	for _, c := range s.reads(s.reg) {
		s.Require().NoError(c.run(s.T().Context()), "%s: readers do not wait", c.name)
	}
	release()
	_, err := s.reg.SetConfig(s.T().Context(), "next", 1)
	s.Require().NoError(err)
	s.Require().Equal(before+1, s.revision(s.reg))
}

func (s *contextsSuite) TestAWriteWaitsForALockUntilItIsReleased() {
	if s.mode.memory {
		s.T().Skip("no other process has a database in memory")
	}
	release := s.lock()
	done := make(chan error)
	entered, leave := context.WithCancel(s.T().Context())
	defer leave()
	go func() {
		leave()
		_, err := s.reg.SetConfig(s.T().Context(), "patient", 1)
		done <- err
	}()
	<-entered.Done()
	select {
	case err := <-done:
		s.Require().FailNow("it did not wait", "%v", err)
	default:
	}
	release()
	s.Require().NoError(<-done)
}

func (s *contextsSuite) TestTheLockTimeoutEndsTheWaitForALongUpdate() {
	reg := s.impatient()
	s.fill(reg)
	before := s.revision(reg)
	calls := append(s.writes(reg), call{"Update", func(ctx context.Context) error {
		return reg.Update(ctx, func(context.Context, *registry.Tx) error { return nil })
	}})
	s.Require().NoError(reg.Update(s.T().Context(), func(context.Context, *registry.Tx) error {
		for _, c := range calls {
			s.Require().ErrorIs(c.run(s.T().Context()), registry.ErrBusy, c.name)
		}
		return nil
	}))
	s.Require().Equal(before, s.revision(reg))
}

func (s *contextsSuite) TestTheLockTimeoutEndsTheWaitForAnotherProcess() {
	if s.mode.memory {
		s.T().Skip("no other process has a database in memory")
	}
	s.reopen(registry.WithLockTimeout(20 * time.Millisecond))
	s.fill(s.reg)
	before := s.revision(s.reg)
	release := s.lock()
	for _, c := range s.waiting() {
		s.Require().ErrorIs(c.run(s.T().Context()), registry.ErrBusy, c.name)
	}
	release()
	s.Require().Equal(before, s.revision(s.reg))
	_, err := s.reg.SetConfig(s.T().Context(), "next", 1)
	s.Require().NoError(err)
}

func (s *contextsSuite) TestALongQueryIsInterrupted() {
	transaction := func(run func(context.Context, func(context.Context, *registry.Tx) error) error) func(
		context.Context, *int,
	) error {
		return func(short context.Context, n *int) error {
			return run(s.T().Context(), func(_ context.Context, tx *registry.Tx) error {
				return tx.QueryRowContext(short, slowQuery).Scan(n)
			})
		}
	}
	for name, query := range map[string]func(context.Context, *int) error{
		"ReadDB": func(ctx context.Context, n *int) error {
			return s.reg.ReadDB().QueryRowContext(ctx, slowQuery).Scan(n)
		},
		"ReadDB exec": func(ctx context.Context, _ *int) error {
			_, err := s.reg.ReadDB().ExecContext(ctx, slowQuery)
			return err
		},
		"View":   transaction(s.reg.View),
		"Update": transaction(s.reg.Update),
	} {
		s.soon(func() {
			ctx, cancel := context.WithTimeout(s.T().Context(), 20*time.Millisecond)
			defer cancel()
			var n int
			s.ErrorIs(query(ctx, &n), context.DeadlineExceeded, name)
		})
	}
	s.fill(s.reg) // and nothing is left of the interrupts
	for _, c := range s.all(s.reg) {
		if !strings.HasPrefix(c.name, "Delete") && c.name != "TransitionModule" {
			s.Require().NoError(c.run(s.T().Context()), c.name)
		}
	}
}

func (s *contextsSuite) TestAListWhoseContextEndsIsWholeOrAnError() {
	const entries = 5_000
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range entries {
			if _, err := tx.SetConfig(ctx, fmt.Sprint("slow/", i), i); err != nil {
				return err
			}
		}
		return nil
	}))
	var cut int
	for limit := 100 * time.Microsecond; ; limit += limit / 2 {
		ctx, cancel := context.WithTimeout(s.T().Context(), limit)
		list, err := s.reg.ListConfig(ctx, "slow/")
		cancel()
		if err == nil {
			s.Require().Len(list, entries)
			break
		}
		s.Require().ErrorIs(err, context.DeadlineExceeded)
		s.Require().Empty(list)
		cut++
	}
	s.Require().NotZero(cut)
}
