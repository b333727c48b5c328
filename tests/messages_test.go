package tests

import (
	"context"
	"strings"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

// What an error says is of use to who reads it: it names the operation that was called, and does not fill the log.
func TestMessages(t *testing.T) {
	runInModes(t, func() *messageSuite { return &messageSuite{} })
}

type messageSuite struct{ modeSuite }

func (s *messageSuite) TestTheOperationIsTheCallers() {
	ctx := s.T().Context()
	reg, err := s.mode.open(ctx, s.mode.path(s.T()))
	s.Require().NoError(err)
	s.Require().NoError(reg.Close())
	increment := func(n int, _ bool) (int, error) { return n + 1, nil }
	_, modified := registry.Modify(ctx, reg, "counter", increment)
	_, setting := registry.Setting[int]{Name: "counter"}.Modify(ctx, reg, func(n int) (int, error) { return n + 1, nil })
	for _, err := range []error{modified, setting} {
		s.Require().ErrorIs(err, registry.ErrClosed)
		s.Require().Contains(err.Error(), `modify`)
		s.Require().Contains(err.Error(), `"counter"`)
		s.Require().NotContains(err.Error(), "update")
	}
	_, err = reg.Verify(ctx)
	s.Require().ErrorIs(err, registry.ErrClosed)
	s.Require().Equal("registry: verify: registry is closed", err.Error())
}

// An error of the callback is its own, also where it is one of this package.
func (s *messageSuite) TestACallbacksErrorStaysAsItIs() {
	ctx := s.T().Context()
	own := s.reg.Update(ctx, nil)
	s.Require().ErrorIs(own, registry.ErrInvalid)
	_, err := registry.Modify(ctx, s.reg, "counter", func(int, bool) (int, error) { return 0, own })
	s.Require().Same(own, err)
}

func (s *messageSuite) TestWhatIsRefusedIsNotRepeatedAtLength() {
	ctx := s.T().Context()
	long := strings.Repeat("x", 1<<20)
	_, key := s.reg.SetConfig(ctx, long, 1)
	_, id := s.reg.SetModuleState(ctx, long, registry.StateRunning)
	_, state := s.reg.SetModuleState(ctx, "kernel", registry.ModuleState(long))
	_, subject := s.reg.UpsertModule(ctx, registry.ModuleMetadata{ID: "a", Name: "a", Version: "1", Kind: registry.ModuleKind(long)}, registry.StateRunning)
	update := s.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := tx.SetConfig(ctx, long, 1)
		return err
	})
	_, missing := s.reg.GetModule(ctx, long)
	s.Require().ErrorIs(missing, registry.ErrUnknownModule)
	s.Require().Less(len(missing.Error()), 5<<10)
	for _, err := range []error{key, id, state, subject, update} {
		s.Require().ErrorIs(err, registry.ErrInvalid)
		s.Require().Less(len(err.Error()), 5<<10)
	}
}
