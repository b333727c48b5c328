package tests

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestTyped(t *testing.T) {
	runInModes(t, func() *typedSuite { return &typedSuite{} })
}

// typedSuite is about Get, TryGet and Modify.
type typedSuite struct{ rowSuite }

type limits struct {
	Threads uint32
	Names   []string `json:",omitempty"`
}

func (s *typedSuite) TestGet() {
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		err := run(func(ctx context.Context, w registry.Writer) error {
			_, err := registry.Get[limits](ctx, w, "limits")
			s.Require().ErrorIs(err, registry.ErrConfigNotFound)
			want := limits{Threads: 1<<32 - 1, Names: []string{"a"}}
			_, err = w.SetConfig(ctx, "limits", want)
			s.Require().NoError(err)
			got, err := registry.Get[limits](ctx, w, "limits")
			s.Require().NoError(err)
			s.Require().Equal(want, got)
			pointer, err := registry.Get[*limits](ctx, w, "limits")
			s.Require().NoError(err)
			s.Require().Equal(&want, pointer)
			return nil
		})
		s.Require().NoError(err)
	})
}

func (s *typedSuite) TestTryGetTellsMissingFromUnreadable() {
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		err := run(func(ctx context.Context, w registry.Writer) error {
			got, found, err := registry.TryGet[string](ctx, w, "nope")
			s.Require().NoError(err)
			s.Require().False(found)
			s.Require().Empty(got)

			_, err = w.SetConfig(ctx, "k", "")
			s.Require().NoError(err)
			got, found, err = registry.TryGet[string](ctx, w, "k")
			s.Require().NoError(err)
			s.Require().True(found) // the zero value is a value
			s.Require().Empty(got)

			_, found, err = registry.TryGet[int](ctx, w, "k")
			s.Require().ErrorIs(err, registry.ErrDecode)
			s.Require().False(found)
			_, found, err = registry.TryGet[int](ctx, w, "\xff")
			s.Require().ErrorIs(err, registry.ErrInvalid)
			s.Require().False(found)
			return nil
		})
		s.Require().NoError(err)
	})
}

func (s *typedSuite) TestErrorsComeWithTheZeroValueAndKeepTheSecret() {
	ctx := s.T().Context()
	_, err := s.reg.SetConfig(ctx, "limits", map[string]any{"Threads": 7, "Names": []any{canary, 1}})
	s.Require().NoError(err)
	for _, read := range []func() (limits, error){
		func() (limits, error) { return registry.Get[limits](ctx, s.reg, "limits") },
		func() (limits, error) {
			got, _, err := registry.TryGet[limits](ctx, s.reg, "limits")
			return got, err
		},
		func() (limits, error) {
			return registry.Modify(ctx, s.reg, "limits", func(limits, bool) (limits, error) { return limits{Threads: 1}, nil })
		},
	} {
		got, err := read()
		s.Require().ErrorIs(err, registry.ErrDecode)
		s.Require().Zero(got)
		s.keepsSecret(err)
	}
}

func (s *typedSuite) TestModifyTellsWhetherThereWasAnEntryAndStoresWhatItReturns() {
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		_, err := reg.SetConfig(s.T().Context(), "zero", 0)
		s.Require().NoError(err)
		err = run(func(ctx context.Context, w registry.Writer) error {
			for key, there := range map[string]bool{"zero": true, "new": false} {
				calls := 0
				got, err := registry.Modify(ctx, w, key, func(current int, exists bool) (int, error) {
					calls++
					s.Require().Zero(current)
					s.Require().Equal(there, exists)
					return 10, nil
				})
				s.Require().NoError(err)
				s.Require().Equal(10, got)
				s.Require().Equal(1, calls)
				got, err = registry.Modify(ctx, w, key, func(current int, exists bool) (int, error) {
					s.Require().True(exists)
					return current + 5, nil
				})
				s.Require().NoError(err)
				s.Require().Equal(15, got)
			}
			return nil
		})
		s.Require().NoError(err)
		for _, key := range []string{"zero", "new"} {
			got, err := registry.Get[int](s.T().Context(), reg, key)
			s.Require().NoError(err)
			s.Require().Equal(15, got)
		}
		current, err := reg.Revision(s.T().Context())
		s.Require().NoError(err)
		s.Require().EqualValues(5, current)
	})
}

func (s *typedSuite) TestModifyThatFailsLeavesTheEntry() {
	own := errors.New("no")
	s.writers(func(reg *registry.Registry, run func(func(context.Context, registry.Writer) error) error) {
		_, err := reg.SetConfig(s.T().Context(), "k", "as it was")
		s.Require().NoError(err)
		s.unchanged(reg, func() {
			err := run(func(ctx context.Context, w registry.Writer) error {
				for _, key := range []string{"k", "new"} {
					got, err := registry.Modify(ctx, w, key, func(string, bool) (string, error) { return "half done", own })
					s.Require().Equal(own, err) // as it is, not wrapped
					s.Require().Empty(got)

					got, err = registry.Modify(ctx, w, key, func(string, bool) (string, error) { return "no UTF-8 \xff", nil })
					s.Require().ErrorIs(err, registry.ErrEncode)
					s.Require().Empty(got)
				}
				_, err := registry.Modify(ctx, w, "k", func(n int, _ bool) (int, error) {
					s.Fail("called with a value that it cannot read")
					return n, nil
				})
				s.Require().ErrorIs(err, registry.ErrDecode)
				_, err = registry.Modify(ctx, w, "", func(n int, _ bool) (int, error) {
					s.Fail("called for a key that cannot be")
					return n, nil
				})
				s.Require().ErrorIs(err, registry.ErrInvalid)
				return nil
			})
			s.Require().NoError(err)
		})
	})
}

func (s *typedSuite) TestConcurrentModifiesLoseNoUpdate() {
	const workers, each = 8, 10
	ctx := s.T().Context()
	var all sync.WaitGroup
	errs := make(chan error, workers*each)
	for range workers {
		all.Go(func() {
			for range each {
				_, err := registry.Modify(ctx, s.reg, "count", func(n int, _ bool) (int, error) { return n + 1, nil })
				errs <- err
			}
		})
	}
	all.Wait()
	for range workers * each {
		s.Require().NoError(<-errs)
	}
	got, err := registry.Get[int](ctx, s.reg, "count")
	s.Require().NoError(err)
	s.Require().Equal(workers*each, got)
}

func (s *typedSuite) TestModifyInAnUpdateIsUndoneWithIt() {
	ctx := s.T().Context()
	undone := errors.New("undone")
	s.unchanged(s.reg, func() {
		err := s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
			_, err := registry.Modify(ctx, tx, "k", func(int, bool) (int, error) { return 1, nil })
			s.Require().NoError(err)
			return undone
		})
		s.Require().Equal(undone, err)
	})
}

func (s *typedSuite) TestModifyInAViewIsReadOnly() {
	err := s.reg.View(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		_, err := registry.Modify(ctx, tx, "k", func(int, bool) (int, error) {
			s.Fail("it ran, and might have had effects")
			return 1, nil
		})
		return err
	})
	s.Require().ErrorIs(err, registry.ErrReadOnly)
}

func (s *typedSuite) TestNilCallbacksAreInvalid() {
	ctx := s.T().Context()
	_, err := registry.Modify[int](ctx, s.reg, "k", nil)
	s.Require().ErrorIs(err, registry.ErrInvalid)
	s.Require().ErrorIs(s.reg.Update(ctx, nil), registry.ErrInvalid)
	s.Require().ErrorIs(s.reg.View(ctx, nil), registry.ErrInvalid)
}
