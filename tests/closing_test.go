package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func TestClosing(t *testing.T) {
	runInModes(t, func() *closingSuite { return &closingSuite{} })
}

type closingSuite struct{ callSuite }

// close closes the test's registry, for good.
func (s *closingSuite) close() *registry.Registry {
	reg := s.reg
	s.reg = nil // nothing to verify at the end
	s.soon(func() { s.NoError(reg.Close()) })
	return reg
}

// closes waits until calls are refused: Close is running, or done.
func (s *closingSuite) closes(reg *registry.Registry) {
	cancelled, cancel := context.WithCancel(s.T().Context())
	cancel() // in memory the call would wait for an open Update
	s.Require().Eventually(func() bool {
		_, err := reg.Revision(cancelled)
		return errors.Is(err, registry.ErrClosed)
	}, patience, time.Millisecond)
}

func (s *closingSuite) TestEachMethodOfAClosedRegistryIsRefused() {
	s.fill(s.reg)
	reg := s.close()
	cancelled, cancel := context.WithCancel(s.T().Context())
	cancel()
	for _, c := range s.all(reg) {
		s.Require().ErrorIs(c.run(s.T().Context()), registry.ErrClosed, c.name)
		s.Require().ErrorIs(c.run(cancelled), registry.ErrClosed, c.name)
	}
}

func (s *closingSuite) TestClosingTwiceDoesNothing() {
	reg := s.close()
	s.Require().NoError(reg.Close())
	s.Require().NoError(reg.Close())
}

// Whoever calls Close can rely on it when it has returned, and does not need to know that another called it first.
func (s *closingSuite) TestEachOfTwoClosesWaits() {
	reg, err := s.mode.open(s.T().Context(), s.mode.path(s.T()))
	s.Require().NoError(err)
	var returned atomic.Bool
	var closers sync.WaitGroup
	s.Require().NoError(reg.Update(s.T().Context(), func(context.Context, *registry.Tx) error {
		for range 2 {
			closers.Go(func() {
				s.NoError(reg.Close())
				s.True(returned.Load(), "Close came back during an Update")
			})
		}
		s.closes(reg)
		returned.Store(true)
		return nil
	}))
	closers.Wait()
}

func (s *closingSuite) TestAClosedRegistryIsAsItWas() {
	if s.mode.memory {
		s.T().Skip("a database in memory is gone when it is closed")
	}
	s.fill(s.reg)
	s.close()
	s.reg = s.open(registry.WithMustExist())
	value, err := registry.Get[int](s.T().Context(), s.reg, "held")
	s.Require().NoError(err)
	s.Require().Equal(1, value)
}

func (s *closingSuite) TestCloseWaitsForWhatIsRunning() {
	outer := s.T().Context()
	for _, name := range []string{"View", "Update"} {
		reg, err := s.mode.open(outer, s.mode.path(s.T()))
		s.Require().NoError(err)
		s.fill(reg)
		run := reg.View
		if name == "Update" {
			run = reg.Update
		}
		var returned atomic.Bool
		closed := make(chan struct{})
		s.Require().NoError(run(outer, func(ctx context.Context, tx *registry.Tx) error {
			go func() {
				defer close(closed)
				s.NoError(reg.Close())
				s.True(returned.Load(), "Close came back during a callback of %s", name)
			}()
			s.closes(reg)
			for _, c := range append(s.reads(tx), s.statements(tx)...) {
				s.Require().NoError(c.run(ctx), "%s in %s: the transaction goes on", c.name, name)
			}
			if name == "Update" {
				_, err := tx.SetConfig(ctx, "held", 2)
				s.Require().NoError(err)
			}
			returned.Store(true)
			return nil
		}))
		s.wait(closed)
	}
}

func (s *closingSuite) TestCloseWaitsForAWriteThatWaits() {
	if s.mode.memory {
		s.T().Skip("no other process has a database in memory")
	}
	release := s.lock()
	reg, ctx := s.reg, s.T().Context()
	s.reg = nil
	written, closed := make(chan error, 1), make(chan error, 1)
	update := make(chan struct{})
	go func() {
		close(update)
		_, err := reg.SetConfig(ctx, "waiting", 1)
		written <- err
	}()
	<-update
	go func() { closed <- reg.Close() }()
	s.closes(reg)
	release()
	err := <-written
	s.Require().NoError(<-closed)

	s.reg = s.open()
	_, found, getErr := registry.TryGet[int](ctx, s.reg, "waiting")
	s.Require().NoError(getErr)
	if err != nil { // Close was faster than the goroutine
		s.Require().ErrorIs(err, registry.ErrClosed)
	}
	s.Require().Equal(err == nil, found)
}

// TestCloseAmongCallers closes while 64 goroutines write and read: each call succeeds or is refused, and what was
// acknowledged is there afterwards.
func (s *closingSuite) TestCloseAmongCallers() {
	reg, ctx := s.reg, s.T().Context()
	s.reg = nil
	var callers, started sync.WaitGroup
	var acknowledged sync.Map
	for worker := range 64 {
		started.Add(1)
		callers.Go(func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("%02d/%d", worker, i)
				var err error
				switch worker % 8 {
				case 0:
					_, err = reg.ListConfig(ctx, key)
				case 1:
					err = reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
						_, err := tx.Revision(ctx)
						return err
					})
				case 2:
					err = reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
						_, err := tx.SetConfig(ctx, key, i)
						return err
					})
				default:
					_, err = reg.SetConfig(ctx, key, i)
				}
				if i == 0 {
					started.Done()
				}
				if err != nil {
					s.ErrorIs(err, registry.ErrClosed)
					return
				}
				if worker%8 > 1 {
					acknowledged.Store(key, i)
				}
			}
		})
	}
	started.Wait()
	s.Require().NoError(reg.Close())
	callers.Wait()
	if s.mode.memory {
		return
	}
	s.reg = s.open(registry.WithMustExist())
	entries, err := s.reg.ListConfig(ctx, "")
	s.Require().NoError(err)
	found := 0
	for _, entry := range entries {
		var value int
		s.Require().NoError(entry.Decode(&value))
		want, ok := acknowledged.Load(entry.Key)
		s.Require().True(ok, "%s was refused, and is there", entry.Key)
		s.Require().Equal(want, value)
		found++
	}
	acknowledged.Range(func(any, any) bool { found--; return true })
	s.Require().Zero(found, "of what was acknowledged, less is there")
}

func (s *closingSuite) TestNothingIsLeftAfterClose() {
	before := runtime.NumGoroutine()
	path := s.mode.path(s.T())
	for range 3 {
		reg, err := s.mode.open(s.T().Context(), path)
		s.Require().NoError(err)
		s.fill(reg)
		var callers sync.WaitGroup
		all := s.openers(reg)
		for range 16 {
			callers.Go(func() {
				for name, open := range all {
					s.NoError(reg.View(s.T().Context(), open), name)
				}
			})
		}
		callers.Wait()
		s.Require().NoError(reg.Close())
	}
	// database/sql's goroutines end shortly after Close. One more goroutine looks; three registries would leave more.
	s.Require().Eventually(func() bool { return runtime.NumGoroutine() <= before+1 }, patience, time.Millisecond)
	if s.mode.memory {
		return
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	s.Require().NoError(err)
	s.Require().Equal([]string{path}, files, "the WAL is moved into the file")
	s.Require().Empty(openFiles(path))
}

// openFiles are this process's open files whose path starts with prefix. Where there is no /proc, none are found.
func openFiles(prefix string) (found []string) {
	descriptors, _ := filepath.Glob("/proc/self/fd/*")
	for _, descriptor := range descriptors {
		if target, err := os.Readlink(descriptor); err == nil && strings.HasPrefix(target, prefix) {
			found = append(found, target)
		}
	}
	return found
}

func (s *closingSuite) TestOpenFilesAreFoundWhileTheRegistryIsOpen() {
	if s.mode.memory || runtime.GOOS != "linux" {
		s.T().Skip("the check above looks into /proc, for files")
	}
	s.fill(s.reg)
	s.Require().NotEmpty(openFiles(s.path))
}
