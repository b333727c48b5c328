package tests

import (
	"context"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestNested(t *testing.T) {
	runInModes(t, func() *nestedSuite { return &nestedSuite{} })
}

type nestedSuite struct{ callSuite }

// transactions are View and Update of a registry.
func (s *nestedSuite) transactions(reg *registry.Registry) map[string]func(
	context.Context, func(context.Context, *registry.Tx) error,
) error {
	return map[string]func(context.Context, func(context.Context, *registry.Tx) error) error{
		"View": reg.View, "Update": reg.Update,
	}
}

func (s *nestedSuite) TestEachMethodOfTheRegistryIsRefusedInsideItsCallbacks() {
	s.fill(s.reg)
	for name, transaction := range s.transactions(s.reg) {
		s.soon(func() {
			s.NoError(transaction(s.T().Context(), func(ctx context.Context, _ *registry.Tx) error {
				derived, cancel := context.WithCancel(context.WithValue(ctx, s, "further"))
				defer cancel()
				for _, c := range s.all(s.reg) {
					s.ErrorIs(c.run(ctx), registry.ErrNested, "%s in %s", c.name, name)
					s.ErrorIs(c.run(derived), registry.ErrNested, "%s in %s", c.name, name)
				}
				return nil
			}))
		})
	}
	value, err := registry.Get[int](s.T().Context(), s.reg, "held")
	s.Require().NoError(err)
	s.Require().Equal(1, value)
}

func (s *nestedSuite) TestAnotherRegistryIsFineInsideACallback() {
	for name, transaction := range s.transactions(s.reg) {
		s.soon(func() {
			s.NoError(transaction(s.T().Context(), func(ctx context.Context, _ *registry.Tx) error {
				for _, c := range s.callsOnAnother() {
					s.NoError(c.run(ctx), "%s in %s", c.name, name)
				}
				return nil
			}))
		})
	}
}

// callsOnAnother are the methods, on another registry.
func (s *nestedSuite) callsOnAnother() []call {
	other := s.impatient()
	calls := s.all(other)
	for i, c := range calls {
		calls[i].run = func(ctx context.Context) error {
			s.fill(other) // some of the calls delete what others need
			return c.run(ctx)
		}
	}
	return calls
}

func (s *nestedSuite) TestACallbackWithinAnothersCallbackIsNestedInBoth() {
	other := s.impatient()
	s.soon(func() {
		s.NoError(s.reg.Update(s.T().Context(), func(ctx context.Context, _ *registry.Tx) error {
			return other.Update(ctx, func(both context.Context, _ *registry.Tx) error {
				for _, reg := range []*registry.Registry{s.reg, other} {
					_, err := reg.SetConfig(both, "key", 1)
					s.ErrorIs(err, registry.ErrNested)
				}
				return nil
			})
		}))
	})
}

func (s *nestedSuite) TestAContextThatOutlivesItsCallbackIsNotNested() {
	s.fill(s.reg)
	for name, transaction := range s.transactions(s.reg) {
		var inner context.Context
		s.Require().NoError(transaction(s.T().Context(), func(ctx context.Context, _ *registry.Tx) error {
			inner = ctx
			return nil
		}))
		_, err := s.reg.SetConfig(inner, "held", 1)
		s.Require().ErrorIs(err, context.Canceled, "%s: the context ends with its callback", name)
		s.Require().NotErrorIs(err, registry.ErrNested, name)
		_, err = s.reg.SetConfig(context.WithoutCancel(inner), "held", 1)
		s.Require().NoError(err, name)
		s.Require().NoError(s.reg.Update(context.WithoutCancel(inner), func(context.Context, *registry.Tx) error {
			return nil
		}), name)
	}
}
