package tests

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/oxide-k/stateregistry/registry"
)

func TestCompact(t *testing.T) {
	runInModes(t, func() *compactSuite { return &compactSuite{} })
}

type compactSuite struct{ modeSuite }

const (
	emptiedEntries = 32
	emptiedValue   = 128 << 10
)

// fillAndEmpty leaves 4 MiB of free pages in the file.
func (s *compactSuite) fillAndEmpty() {
	ctx := s.T().Context()
	fill(s.T(), s.reg)
	for i := range emptiedEntries {
		_, err := s.reg.SetConfig(ctx, fmt.Sprint("large/", i), strings.Repeat("x", emptiedValue))
		s.Require().NoError(err)
	}
	for i := range emptiedEntries {
		_, err := s.reg.DeleteConfig(ctx, fmt.Sprint("large/", i))
		s.Require().NoError(err)
	}
}

// isFilled looks for what fillAndEmpty left.
func (s *compactSuite) isFilled() {
	s.T().Helper()
	for i, key := range []string{"api/endpoint", "greeting", "max_threads"} {
		value, err := registry.Get[int](s.T().Context(), s.reg, key)
		s.Require().NoError(err)
		s.Require().Equal(i, value)
	}
}

func (s *compactSuite) TestItGivesSpaceBackAndNothingElse() {
	s.fillAndEmpty()
	ctx := s.T().Context()
	revision, err := s.reg.Revision(ctx)
	s.Require().NoError(err)
	before := s.reg.Stats()
	report, err := s.reg.Compact(ctx)
	s.Require().NoError(err)
	after := s.reg.Stats()
	if s.mode.memory {
		s.Require().Zero(report)
		s.Require().Zero(after)
		return
	}
	s.Require().Equal(before.FileBytes+before.WALBytes, report.Before)
	s.Require().Equal(after.FileBytes, report.After)
	s.Require().Less(report.After, report.Before-emptiedEntries*emptiedValue/2)
	s.Require().True(report.WALTruncated)
	s.Require().Zero(after.WALBytes)
	s.isFilled()
	now, err := s.reg.Revision(ctx)
	s.Require().NoError(err)
	s.Require().Equal(revision, now)
	changes, err := s.reg.Changes(ctx, 0, 1000)
	s.Require().NoError(err)
	s.Require().Len(changes, int(revision))
	next, err := s.reg.SetConfig(ctx, "later", 1)
	s.Require().NoError(err)
	s.Require().Equal(revision+1, next)
}

func (s *compactSuite) TestOthersReadAndWriteMeanwhile() {
	s.fillAndEmpty()
	ctx := s.T().Context()
	stop := make(chan struct{})
	var others sync.WaitGroup
	written := 0
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			_, err := s.reg.SetConfig(ctx, fmt.Sprint("written/", written), written)
			s.NoError(err)
			written++
		}
	})
	others.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			s.NoError(s.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
				_, err := tx.ListConfig(ctx, "written/")
				return err
			}))
		}
	})
	for range 3 {
		_, err := s.reg.Compact(ctx)
		s.Require().NoError(err)
	}
	close(stop)
	others.Wait()
	entries, err := s.reg.ListConfig(ctx, "written/")
	s.Require().NoError(err)
	s.Require().Len(entries, written)
}

func (s *compactSuite) TestWhatHoldsItOff() {
	if s.mode.memory {
		s.T().Skip("it does nothing in memory")
	}
	s.reopen(registry.WithLockTimeout(short))
	s.fillAndEmpty()
	ctx := s.T().Context()

	other := sqliteOpen(s.T(), s.path)
	_, err := other.Exec("BEGIN IMMEDIATE")
	s.Require().NoError(err)
	report, err := s.reg.Compact(ctx)
	s.Require().ErrorIs(err, registry.ErrBusy)
	s.Require().False(report.WALTruncated)
	_, err = other.Exec("ROLLBACK")
	s.Require().NoError(err)

	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err = s.reg.Compact(ended)
	s.Require().ErrorIs(err, context.Canceled)

	s.Require().NoError(s.reg.View(ctx, func(context.Context, *registry.Tx) error {
		_, err := s.reg.SetConfig(ctx, "later", 1)
		s.Require().NoError(err)
		report, err := s.reg.Compact(ctx)
		s.Require().ErrorIs(err, registry.ErrBusy)
		s.Require().False(report.WALTruncated)
		s.Require().NotZero(s.reg.Stats().WALBytes)
		_, err = s.reg.SetConfig(ctx, "later", 2)
		s.Require().NoError(err, "writes go on")
		return nil
	}))
	report, err = s.reg.Compact(ctx)
	s.Require().NoError(err)
	s.Require().True(report.WALTruncated)
	s.isFilled()
}

func (s *compactSuite) TestWhereItIsRefused() {
	ctx := s.T().Context()
	s.Require().NoError(s.reg.View(ctx, func(ctx context.Context, _ *registry.Tx) error {
		_, err := s.reg.Compact(ctx)
		s.Require().ErrorIs(err, registry.ErrNested)
		return nil
	}))
	if !s.mode.memory {
		reader := s.open(registry.WithReadOnly())
		_, err := reader.Compact(ctx)
		s.Require().ErrorIs(err, registry.ErrReadOnly)
		s.Require().NotZero(reader.Stats().FileBytes)
		s.Require().NoError(reader.Close())
	}
	s.Require().NoError(s.reg.Close())
	_, err := s.reg.Compact(ctx)
	s.Require().ErrorIs(err, registry.ErrClosed)
	s.reg.Stats()
	s.reg = nil
}
