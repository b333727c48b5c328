package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestSettingWatch(t *testing.T) {
	runInModes(t, func() *settingWatchSuite { return &settingWatchSuite{} })
}

type settingWatchSuite struct{ rowSuite }

// seen is what a loop over a watch of threads gets.
type seen struct {
	value int
	err   error
}

// watch begins a loop over a watch of threads. It closes its channel when it has ended.
func (s *settingWatchSuite) watch(reg *registry.Registry) (<-chan seen, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	s.T().Cleanup(cancel)
	elements := make(chan seen)
	go func() {
		defer close(elements)
		for value, err := range threads.Watch(ctx, reg) {
			select {
			case elements <- seen{value, err}:
			case <-ctx.Done():
			}
		}
	}()
	return elements, cancel
}

// gives waits for an element of the loop.
func (s *settingWatchSuite) gives(elements <-chan seen, value int, err error) {
	s.T().Helper()
	select {
	case got, ok := <-elements:
		s.Require().True(ok, "it has ended")
		s.Require().ErrorIs(got.err, err)
		s.Require().Equal(value, got.value)
	case <-time.After(patience):
		s.Require().FailNow("nothing comes")
	}
}

// ends waits for the loop to end.
func (s *settingWatchSuite) ends(elements <-chan seen) {
	s.T().Helper()
	select {
	case got, ok := <-elements:
		s.Require().False(ok, "%+v", got)
	case <-time.After(patience):
		s.Require().FailNow("it goes on")
	}
}

func (s *settingWatchSuite) set(reg *registry.Registry, value int) {
	_, err := threads.Set(s.T().Context(), reg, value)
	s.Require().NoError(err)
}

func (s *settingWatchSuite) TestTheValueAndThenWhatItBecomes() {
	ctx := s.T().Context()
	elements, cancel := s.watch(s.reg)
	s.gives(elements, 8, nil) // the default
	s.set(s.reg, 16)
	s.gives(elements, 16, nil)
	_, err := s.reg.SetConfig(ctx, "threads/other", 1) // another's
	s.Require().NoError(err)
	s.set(s.reg, 17)
	s.gives(elements, 17, nil)
	_, err = threads.Delete(ctx, s.reg)
	s.Require().NoError(err)
	s.gives(elements, 8, nil)
	s.set(s.reg, 8)
	s.gives(elements, 8, nil) // the same, but stored
	another, stop := s.watch(s.reg)
	s.gives(another, 8, nil)
	stop()
	s.ends(another)
	cancel()
	s.ends(elements)
}

// A value that cannot be read ends nothing: somebody may mend it.
func (s *settingWatchSuite) TestABadValueIsAnElement() {
	ctx := s.T().Context()
	elements, _ := s.watch(s.reg)
	s.gives(elements, 8, nil)
	for _, bad := range []string{`"s3cr3t"`, `0`} {
		_, err := s.reg.SetConfig(ctx, "threads", json.RawMessage(bad))
		s.Require().NoError(err)
		select {
		case got := <-elements:
			s.Require().ErrorIs(got.err, registry.ErrDecode)
			s.Require().ErrorContains(got.err, `"threads"`)
			s.Require().NotContains(got.err.Error(), "s3cr3t")
			s.Require().Zero(got.value)
		case <-time.After(patience):
			s.Require().FailNow("nothing comes")
		}
	}
	s.set(s.reg, 4)
	s.gives(elements, 4, nil)
	_, err := s.reg.SetConfig(ctx, "threads", 0)
	s.Require().NoError(err)
	s.gives(elements, 0, registry.ErrDecode)
	again, _ := s.watch(s.reg) // it may be there from the beginning
	s.gives(again, 0, registry.ErrDecode)
	_, err = threads.Delete(ctx, s.reg)
	s.Require().NoError(err)
	s.gives(elements, 8, nil)
	s.gives(again, 8, nil)
}

// Who is slow gets the newest value, and never an older one after a newer; the last value always comes.
func (s *settingWatchSuite) TestASlowLoopGetsTheNewestValue() {
	ctx, cancel := context.WithTimeout(s.T().Context(), patience)
	defer cancel()
	const last = 300
	var loops sync.WaitGroup
	for loop := range 4 {
		loops.Go(func() {
			before := 0
			for value, err := range threads.Watch(ctx, s.reg) {
				if !s.NoError(err) {
					return
				}
				if value != threads.Default || before > 0 {
					s.Greater(value, before)
					before = value
				}
				if value == last {
					return
				}
				for range loop * 3 { // time passes
					_, err := s.reg.Revision(ctx)
					s.NoError(err)
				}
			}
			s.Fail("it ended early")
		})
	}
	for value := 100; value <= last; value++ {
		s.set(s.reg, value)
	}
	loops.Wait()
}

// Whoever wants the newest value only does not mind that the log forgot the others.
func (s *settingWatchSuite) TestCompactionDoesNotEndIt() {
	reg := s.fresh(registry.WithLogLimit(1))
	elements, _ := s.watch(reg)
	s.gives(elements, 8, nil)
	s.Require().NoError(reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range 300 { // all of it behind the loop's back
			if _, err := tx.SetConfig(ctx, fmt.Sprint("k", i), i); err != nil {
				return err
			}
			if i == 100 {
				if _, err := threads.Set(ctx, tx, 42); err != nil {
					return err
				}
			}
		}
		return nil
	}))
	s.gives(elements, 42, nil)
	s.Require().NoError(reg.Update(s.T().Context(), func(ctx context.Context, tx *registry.Tx) error {
		for i := range 300 { // none of it about the setting
			if _, err := tx.SetConfig(ctx, fmt.Sprint("k", i), i); err != nil {
				return err
			}
		}
		return nil
	}))
	s.set(reg, 43)
	s.gives(elements, 43, nil)
}

func (s *settingWatchSuite) TestOthersChangesCome() {
	if s.mode.memory {
		s.T().Skip("there is no file to open twice")
	}
	other := s.open()
	elements, _ := s.watch(s.reg)
	s.gives(elements, 8, nil)
	s.set(other, 5)
	s.gives(elements, 5, nil)
	s.Require().NoError(other.Close())
}

// It is the caller's code, and may use the registry: nothing is held while it runs.
func (s *settingWatchSuite) TestAValidationMayUseTheRegistry() {
	ctx, cancel := context.WithTimeout(s.T().Context(), patience)
	defer cancel()
	validated := 0
	limit := registry.Setting[int]{Name: "limit", Default: 1, Validate: func(n int) error {
		validated++
		_, err := s.reg.SetConfig(ctx, "validated", n)
		return err
	}}
	for n, err := range limit.Watch(ctx, s.reg) {
		s.Require().NoError(err)
		if n == 3 {
			break
		}
		_, err = s.reg.SetConfig(ctx, "limit", n+1)
		s.Require().NoError(err)
	}
	s.Require().Equal(2, validated)
}

// A rotation changes no value.
func (s *settingWatchSuite) TestItGoesOnThroughARotation() {
	if !s.mode.encrypted() {
		s.T().Skip("there is nothing to rotate")
	}
	s.set(s.reg, 5)
	elements, _ := s.watch(s.reg)
	s.gives(elements, 5, nil)
	_, err := s.reg.RotateKeyset(s.T().Context())
	s.Require().NoError(err)
	s.set(s.reg, 6)
	s.gives(elements, 6, nil)
}

func (s *settingWatchSuite) TestHowItEnds() {
	nested := func(ctx context.Context, tx *registry.Tx) error {
		for _, err := range threads.Watch(ctx, s.reg) {
			s.Require().ErrorIs(err, registry.ErrNested)
			s.Require().ErrorContains(err, `watch setting "threads"`)
		}
		return nil
	}
	s.Require().NoError(s.reg.View(s.T().Context(), nested))
	for _, err := range (registry.Setting[int]{}).Watch(s.T().Context(), s.reg) {
		s.Require().ErrorIs(err, registry.ErrInvalid, "a name that is none")
	}
	ended, cancel := context.WithCancel(s.T().Context())
	cancel()
	for range threads.Watch(ended, s.reg) {
		s.Require().Fail("a context that has ended")
	}
	elements, _ := s.watch(s.reg)
	s.gives(elements, 8, nil)
	s.Require().NoError(s.reg.Close())
	s.gives(elements, 0, registry.ErrClosed)
	s.ends(elements)
	for _, err := range threads.Watch(s.T().Context(), s.reg) {
		s.Require().ErrorIs(err, registry.ErrClosed)
	}
	s.reg = nil
}
