package tests

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestTransactions(t *testing.T) {
	runInModes(t, func() *transactionsSuite { return &transactionsSuite{} })
}

type transactionsSuite struct{ callSuite }

// absent requires that nothing of a failed Update is there, and that the registry still writes.
func (s *transactionsSuite) absent(key string) {
	_, found, err := registry.TryGet[int](s.T().Context(), s.reg, key)
	s.Require().NoError(err)
	s.Require().False(found, "%q was written", key)
	before := s.revision(s.reg)
	revision, err := s.reg.SetConfig(s.T().Context(), "still usable", before)
	s.Require().NoError(err)
	s.Require().Equal(before+1, revision)
}

func (s *transactionsSuite) TestUpdateCommitsWhatItWrote() {
	ctx := s.T().Context()
	text := sealed(s.T(), s.reg, "raw", "1")
	s.Require().NoError(s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		s.fill(tx)
		_, err := tx.ExecContext(ctx, insertRow, "raw", text)
		return err
	}))
	for _, key := range []string{"held", "raw"} {
		value, err := registry.Get[int](ctx, s.reg, key)
		s.Require().NoError(err)
		s.Require().Equal(1, value)
	}
	_, err := s.reg.GetModule(ctx, "kernel")
	s.Require().NoError(err)
}

func (s *transactionsSuite) TestUpdateSeesItsOwnWritesAndCountsTheirRevisions() {
	first := s.revision(s.reg)
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range int64(3) {
			revision, err := tx.SetConfig(ctx, "counter", i)
			s.Require().NoError(err)
			s.Require().Equal(first+i+1, revision)
			seen, err := registry.Get[int64](ctx, tx, "counter")
			s.Require().NoError(err)
			s.Require().Equal(i, seen)
			newest, err := tx.Revision(ctx)
			s.Require().NoError(err)
			s.Require().Equal(revision, newest)
		}
		deleted, err := tx.DeleteConfig(ctx, "counter")
		s.Require().NoError(err)
		s.Require().True(deleted)
		s.Require().ErrorIs(tx.GetConfig(ctx, "counter", new(int)), registry.ErrConfigNotFound)
		return nil
	}))
	s.Require().Equal(first+4, s.revision(s.reg))
}

func (s *transactionsSuite) TestUpdateUndoesEverythingOnAnErrorAndReturnsItAsItIs() {
	own := errors.New("own")
	before := s.revision(s.reg)
	err := s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		s.fill(tx)
		return own
	})
	s.Require().True(err == own, "%v", err)
	s.Require().Equal(before, s.revision(s.reg))
	s.absent("held")
}

func (s *transactionsSuite) TestUpdateUndoesEverythingOnAPanicAndPassesItOn() {
	cause := &struct{ string }{"cause"}
	s.Require().PanicsWithValue(cause, func() {
		_ = s.reg.Update(s.T().Context(), func(_ context.Context, tx *registry.Tx) error {
			s.fill(tx)
			panic(cause)
		})
	})
	s.absent("held")
}

func (s *transactionsSuite) TestUpdateUndoesEverythingWhenItsGoroutineExits() {
	var returned atomic.Bool
	s.soon(func() {
		_ = s.reg.Update(s.T().Context(), func(_ context.Context, tx *registry.Tx) error {
			s.fill(tx)
			runtime.Goexit()
			return nil
		})
		returned.Store(true)
	})
	s.Require().False(returned.Load())
	s.absent("held")
}

func (s *transactionsSuite) TestUpdateUndoesEverythingWhenItsContextHasEnded() {
	ctx, cancel := context.WithCancel(s.T().Context())
	err := s.reg.Update(ctx, func(_ context.Context, tx *registry.Tx) error {
		s.fill(tx)
		cancel()
		return nil
	})
	s.Require().ErrorIs(err, context.Canceled)
	s.absent("held")
}

func (s *transactionsSuite) TestViewPassesErrorsAndPanicsOn() {
	own := errors.New("own")
	err := s.reg.View(s.T().Context(), func(context.Context, *registry.Tx) error { return own })
	s.Require().True(err == own, "%v", err)
	s.Require().PanicsWithValue("cause", func() {
		_ = s.reg.View(s.T().Context(), func(context.Context, *registry.Tx) error { panic("cause") })
	})
	s.soon(func() {
		_ = s.reg.View(s.T().Context(), func(context.Context, *registry.Tx) error { runtime.Goexit(); return nil })
	})
	s.absent("held") // in memory a snapshot that stayed open would hold this write back
}

func (s *transactionsSuite) TestViewIsTheSnapshotOfItsCall() {
	if s.mode.memory {
		s.T().Skip("in memory an open View holds writers back: see the test of that")
	}
	ctx := s.T().Context()
	s.fill(s.reg)
	s.Require().NoError(s.reg.View(ctx, func(inner context.Context, tx *registry.Tx) error {
		revision, err := s.reg.SetConfig(ctx, "held", 2) // the View's first statement comes after it
		s.Require().NoError(err, "a View holds no writer back")
		_, err = s.reg.SetConfig(ctx, "new", 1)
		s.Require().NoError(err)

		for range 2 {
			value, err := registry.Get[int](inner, tx, "held")
			s.Require().NoError(err)
			s.Require().Equal(1, value)
			entries, err := tx.ListConfig(inner, "")
			s.Require().NoError(err)
			s.Require().Len(entries, 1)
			newest, err := tx.Revision(inner)
			s.Require().NoError(err)
			s.Require().Equal(revision-1, newest)
		}
		value, err := registry.Get[int](ctx, s.reg, "held")
		s.Require().NoError(err)
		s.Require().Equal(2, value, "outside of the View")
		return nil
	}))
}

func (s *transactionsSuite) TestAnOpenViewHoldsWritersBackInMemoryOnly() {
	ctx := s.T().Context()
	reg := s.impatient()
	s.fill(reg)
	var late error
	done := make(chan struct{})
	var over atomic.Bool
	s.Require().NoError(reg.View(ctx, func(context.Context, *registry.Tx) error {
		_, err := reg.SetConfig(ctx, "held", 2)
		if s.mode.memory {
			s.Require().ErrorIs(err, registry.ErrBusy)
		} else {
			s.Require().NoError(err)
		}
		return nil
	}))
	s.Require().NoError(s.reg.View(ctx, func(context.Context, *registry.Tx) error {
		go func() {
			defer close(done)
			_, late = s.reg.SetConfig(ctx, "late", 1)
			if s.mode.memory && !over.Load() {
				late = errors.New("the write finished before the View")
			}
		}()
		if !s.mode.memory {
			s.wait(done)
		}
		over.Store(true)
		return nil
	}))
	s.wait(done)
	s.Require().NoError(late)
}

func (s *transactionsSuite) TestAnOpenUpdateHoldsReadersBackInMemoryOnly() {
	ctx := s.T().Context()
	reg := s.impatient()
	s.fill(reg)
	s.Require().NoError(reg.Update(ctx, func(inner context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(inner, "held", 2)
		s.Require().NoError(err)
		value, err := registry.Get[int](ctx, reg, "held")
		if s.mode.memory {
			s.Require().ErrorIs(err, registry.ErrBusy)
			s.Require().ErrorIs(reg.View(ctx, func(context.Context, *registry.Tx) error { return nil }), registry.ErrBusy)
		} else {
			s.Require().NoError(err)
			s.Require().Equal(1, value, "what is not committed is not seen")
		}
		return nil
	}))
	value, err := registry.Get[int](ctx, reg, "held")
	s.Require().NoError(err)
	s.Require().Equal(2, value)
}

func (s *transactionsSuite) TestViewDoesNotWrite() {
	s.fill(s.reg)
	before := s.revision(s.reg)
	s.Require().NoError(s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for _, c := range s.writes(tx) {
			s.Require().ErrorIs(c.run(ctx), registry.ErrReadOnly, c.name)
		}
		_, err := tx.ExecContext(ctx, insertRow, "raw", "1")
		s.Require().ErrorIs(err, registry.ErrReadOnly)
		var key string
		err = tx.QueryRowContext(ctx, insertRow+" RETURNING key", "raw", "1").Scan(&key)
		s.Require().ErrorIs(err, registry.ErrReadOnly)
		for _, c := range append(s.reads(tx), s.statements(tx)...) {
			s.Require().NoError(c.run(ctx), c.name)
		}
		return nil
	}))
	s.Require().Equal(before, s.revision(s.reg))
}

func (s *transactionsSuite) TestModifyUndoesNothingButItsOwnWhereItFails() {
	own := errors.New("own")
	fail := func(int, bool) (int, error) { return 7, own }
	s.Require().NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		s.fill(tx)
		value, err := registry.Modify(ctx, tx, "held", fail)
		s.Require().True(err == own, "%v", err)
		s.Require().Zero(value)
		return nil
	}))
	value, err := registry.Modify(s.T().Context(), s.reg, "held", fail)
	s.Require().True(err == own, "%v", err)
	s.Require().Zero(value)
	value, err = registry.Get[int](s.T().Context(), s.reg, "held")
	s.Require().NoError(err)
	s.Require().Equal(1, value)
}
