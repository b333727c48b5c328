package tests

import (
	"context"
	"fmt"
	"iter"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestWatchEnd(t *testing.T) {
	runInModes(t, func() *watchEndSuite { return &watchEndSuite{} })
}

// watchEndSuite is about how watches end, and what is left of them: nothing.
type watchEndSuite struct{ rowSuite }

func (s *watchEndSuite) set(reg *registry.Registry, key string) {
	_, err := reg.SetConfig(s.T().Context(), key, key)
	s.Require().NoError(err)
}

// elements are what a loop gets, all errors among them. The context bounds the loop.
func (s *watchEndSuite) elements(watch iter.Seq2[registry.Change, error]) (changes []registry.Change, errs []error) {
	for change, err := range watch {
		if err != nil {
			s.Require().Zero(change)
			errs = append(errs, err)
			continue
		}
		changes = append(changes, change)
	}
	return changes, errs
}

func (s *watchEndSuite) TestItEndsQuietlyWithItsContext() {
	s.set(s.reg, "a")
	s.set(s.reg, "b")
	ended, cancel := context.WithCancel(s.T().Context())
	cancel()
	for _, after := range []int64{0, 2, registry.FromNow} {
		changes, errs := s.elements(s.reg.Watch(ended, after))
		s.Require().Empty(changes)
		s.Require().Empty(errs)
	}

	inBody, cancel := context.WithCancel(s.T().Context())
	defer cancel()
	seen := 0
	for _, err := range s.reg.Watch(inBody, 0) {
		s.Require().NoError(err)
		seen++
		cancel()
	}
	s.Require().Equal(1, seen)

	for _, after := range []int64{0, registry.FromNow} { // while it waits
		deadline, cancel := context.WithTimeout(s.T().Context(), 5*time.Millisecond)
		_, errs := s.elements(s.reg.Watch(deadline, after))
		s.Require().Empty(errs)
		s.Require().ErrorIs(deadline.Err(), context.DeadlineExceeded)
		cancel()
	}
}

func (s *watchEndSuite) TestClosingEndsEachWatch() {
	s.set(s.reg, "a")
	waiting := beginWatch(s.T(), s.reg, 1)
	s.set(s.reg, "b")
	s.Require().EqualValues(2, waiting.next().Revision)
	for range 3 {
		s.set(s.reg, "c")
	}
	busy := beginWatch(s.T(), s.reg, 0) // its loop waits for the first change to be taken
	notBegun := s.reg.Watch(s.T().Context(), registry.FromNow)
	reg := s.reg
	s.reg = nil

	var errs []error
	for _, err := range reg.Watch(s.T().Context(), 0) {
		if err == nil {
			s.Require().NoError(reg.Close(), "in the body")
		}
		errs = append(errs, err)
	}
	s.Require().Len(errs, 2)
	s.Require().ErrorIs(errs[1], registry.ErrClosed)
	for _, w := range []*watching{waiting, busy} {
		s.Require().ErrorIs(w.last(), registry.ErrClosed)
	}
	for _, watch := range []iter.Seq2[registry.Change, error]{notBegun, reg.Watch(s.T().Context(), 0)} {
		changes, errs := s.elements(watch)
		s.Require().Empty(changes)
		s.Require().Len(errs, 1)
		s.Require().ErrorIs(errs[0], registry.ErrClosed)
	}
	ended, cancel := context.WithCancel(s.T().Context())
	cancel()
	_, errs = s.elements(reg.Watch(ended, 0))
	s.Require().Empty(errs, "a context that ended has the last word")
}

func (s *watchEndSuite) TestAWatchIsForOneLoop() {
	s.set(s.reg, "a")
	watch := s.reg.Watch(s.T().Context(), 0)
	for range watch {
		break
	}
	changes, errs := s.elements(watch)
	s.Require().Empty(changes)
	s.Require().Len(errs, 1)
	s.Require().ErrorIs(errs[0], registry.ErrInvalid)
}

func (s *watchEndSuite) TestArgumentsThatMakeNoSenseAreInvalid() {
	ctx := s.T().Context()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, watch := range map[string]iter.Seq2[registry.Change, error]{
		"a context that ended": s.reg.Watch(ended, -2),
		"revision":             s.reg.Watch(ctx, -2),
		"nil option":           s.reg.Watch(ctx, 0, nil),
		"no subject":           s.reg.Watch(ctx, 0, registry.InSubject()),
		"the subject":          s.reg.Watch(ctx, 0, registry.InSubject(registry.SubjectConfig, "")),
		"no UTF-8":             s.reg.Watch(ctx, 0, registry.WithPrefix("\xff")),
		"half a rune":          s.reg.Watch(ctx, 0, registry.WithPrefix("ключ"[:3])),
		"after FromNo":         s.reg.Watch(ctx, registry.FromNow-1),
	} {
		changes, errs := s.elements(watch)
		s.Require().Empty(changes, name)
		s.Require().Len(errs, 1, name)
		s.Require().ErrorIs(errs[0], registry.ErrInvalid, name)
	}
}

func (s *watchEndSuite) TestInACallbackItIsNested() {
	nested := func(ctx context.Context, tx *registry.Tx) error {
		for _, after := range []int64{0, registry.FromNow} {
			_, errs := s.elements(s.reg.Watch(ctx, after))
			s.Require().Len(errs, 1)
			s.Require().ErrorIs(errs[0], registry.ErrNested)
		}
		return nil
	}
	s.Require().NoError(s.reg.View(s.T().Context(), nested))
	s.Require().NoError(s.reg.Update(s.T().Context(), nested))
}

// The body may use the registry as it likes.
func (s *watchEndSuite) TestTheBodyMayWrite() {
	ctx, cancel := context.WithTimeout(s.T().Context(), patience)
	defer cancel()
	s.set(s.reg, "k")
	seen := int64(0)
	for change, err := range s.reg.Watch(ctx, 0) {
		s.Require().NoError(err)
		if seen++; seen == 50 {
			break
		}
		s.Require().Equal(seen, change.Revision)
		s.set(s.reg, "k")
	}
	s.Require().EqualValues(50, seen)
}

// following counts the goroutines that follow a change log.
func following() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	return strings.Count(string(stacks), "\ncreated by github.com/oxide-k/stateregistry/internal/feed.")
}

// nobodyFollows requires that the goroutines have ended. (What they hold is given back before whoever waits for them goes
// on; the last of the goroutine itself may take a moment.)
func (s *watchEndSuite) nobodyFollows() {
	s.T().Helper()
	s.Require().Eventually(func() bool { return following() == 0 }, patience, time.Millisecond)
}

// openFiles counts this process's descriptors of the test's registry.
func (s *watchEndSuite) openFiles() (files int) {
	entries, err := os.ReadDir("/proc/self/fd")
	s.Require().NoError(err)
	for _, entry := range entries {
		if target, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.HasPrefix(target, s.path) {
			files++
		}
	}
	return files
}

func (s *watchEndSuite) TestNothingIsLeftWhenTheLastOneLeaves() {
	// A reader and a View have been here: what they opened stays.
	s.set(s.reg, "a")
	s.Require().NoError(s.reg.View(s.T().Context(), func(context.Context, *registry.Tx) error { return nil }))
	before := s.openFiles()
	for round := range 20 {
		var loops sync.WaitGroup
		ctx, cancel := context.WithCancel(s.T().Context())
		begun := make(chan struct{}, 8)
		for i := range 8 {
			loops.Go(func() {
				for _, err := range s.reg.Watch(ctx, 0) {
					s.NoError(err)
					begun <- struct{}{}
					if i%2 == 0 {
						return
					}
				}
			})
		}
		for range 8 {
			<-begun
		}
		if round%2 == 0 {
			s.set(s.reg, fmt.Sprint(round)) // while they leave
		}
		cancel()
		go func() {
			for range begun {
			}
		}()
		loops.Wait()
		close(begun)
		s.nobodyFollows()
	}
	after := s.openFiles()
	// The pool may have opened a few more for the loops' own reads; the feed's connection is not among them.
	s.Require().LessOrEqual(after, before+2*4*runtime.GOMAXPROCS(0))
	unused := s.reg.Watch(s.T().Context(), registry.FromNow)
	s.Require().Zero(following(), "a watch without a loop holds nothing")
	s.Require().LessOrEqual(s.openFiles(), after) // a connection that nobody waited for any more may have been closed since
	_ = unused
}

func (s *watchEndSuite) TestNothingIsLeftAfterClosing() {
	for range 10 {
		w := beginWatch(s.T(), s.reg, registry.FromNow)
		s.set(s.reg, "a")
		w.next()
		s.Require().Equal(1, following())
		s.Require().NoError(s.reg.Close())
		s.Require().Zero(s.openFiles())
		s.nobodyFollows()
		s.Require().ErrorIs(w.end(), registry.ErrClosed)
		s.reg = s.open()
	}
}
