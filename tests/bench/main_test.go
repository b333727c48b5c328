package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/suite"
)

// tinyScale runs every job, and measures nothing worth a look.
func tinyScale() scale {
	return scale{
		rounds: 2, slice: 100 * time.Microsecond, writeSlice: 100 * time.Microsecond,
		entries: 120, largeEntries: 3, growth: []int{110, 120, 130}, rotations: 1, watched: 2,
	}
}

func TestBench(t *testing.T) { suite.Run(t, new(benchSuite)) }

type benchSuite struct{ suite.Suite }

// TestRunsEveryJobAndLeavesTheResultsOnly: each adapter is checked as its stores are opened, so a run that ends well says
// that all of them read what they wrote and list what they hold.
func (s *benchSuite) TestRunsEveryJobAndLeavesTheResultsOnly() {
	dir, out := s.T().TempDir(), s.T().TempDir()
	var stdout bytes.Buffer
	s.Require().NoError(bench(s.T().Context(), tinyScale(), 1, allParts(), dir, out, false, &stdout, io.Discard))

	left, err := os.ReadDir(dir)
	s.Require().NoError(err)
	s.Require().Empty(left)
	page, err := os.ReadFile(filepath.Join(out, "results.md"))
	s.Require().NoError(err)
	for _, p := range peers[flat]() {
		s.Require().Contains(stdout.String(), p.name)
		s.Require().Contains(string(page), p.name)
	}
	s.Require().NotContains(string(page), "NaN")
	s.Require().NotContains(stdout.String(), "NaN")
	for _, plot := range []string{"point-read.svg", "durable-write.svg", "list.svg", "point-read-by-entries.svg"} {
		s.Require().Contains(string(page), "]("+plot+")")
		s.Require().FileExists(filepath.Join(out, plot))
	}
}

// forgetful keeps the first entry only, and says nothing of it.
type forgetful struct{ store[flat] }

func (f forgetful) Write(context.Context, string, flat) error { return nil }

func (s *benchSuite) TestAStoreThatDoesSomethingElseIsNotMeasured() {
	m := newMeter(tinyScale(), 1, s.T().TempDir(), io.Discard)
	lying := peer[flat]{"forgetful", func(ctx context.Context, dir string) (store[flat], error) {
		inner, err := openBbolt[flat](ctx, dir)
		return forgetful{inner}, err
	}}
	err := with(s.T().Context(), m, 110, newFlat(smallSize), []peer[flat]{lying}, func(*fixture[flat]) error {
		s.Fail("it was measured")
		return nil
	})
	s.Require().ErrorContains(err, "forgetful")
}

func (s *benchSuite) TestValuesHaveTheirSizeAndDifferFromTheOneBefore() {
	for _, size := range []int{smallSize, mediumSize, largeSize} {
		value := newFlat(size)
		for n := range uint64(100) {
			text, err := json.Marshal(value(n))
			s.Require().NoError(err)
			s.Require().Len(text, size)
			s.Require().NotEqual(value(n), value(n+1))
		}
	}
}

func (s *benchSuite) TestARatioIsThatOfTheSameRound() {
	s.Require().Equal(2.0, ratio([]float64{2, 20, 200}, []float64{1, 10, 100}))
	s.Require().Equal(2.5, median([]float64{4, 1, 3, 2}))
}

func (s *benchSuite) TestBarsAreJudgedBeforeTheyAreRounded() {
	b := barsOf{}
	b.atMost("a", 0.8, 0.8001)
	b.least("b", 8, 7.9999)
	b.least("c", 8, math.NaN()) // was not measured
	s.Require().Len(b.bars, 2)
	for _, bar := range b.bars {
		s.Require().False(bar.met)
	}
}

func (s *benchSuite) TestSaysWhatIsWrongWithItsArguments() {
	for _, args := range [][]string{{"-unknown"}, {"argument"}, {"-only", "nothing"}, {"-dir", "/no/such/folder", "-only", "watch"}} {
		s.Require().Error(run(s.T().Context(), args, io.Discard, io.Discard), "%q", args)
	}
	s.Require().NoError(run(s.T().Context(), []string{"-h"}, io.Discard, io.Discard))
}

func (s *benchSuite) TestAnInterruptEndsIt() {
	ctx, cancel := context.WithCancel(s.T().Context())
	cancel()
	dir := s.T().TempDir()
	err := bench(ctx, tinyScale(), 1, allParts(), dir, "", false, io.Discard, io.Discard)
	s.Require().ErrorIs(err, context.Canceled)
	left, err := os.ReadDir(dir)
	s.Require().NoError(err)
	s.Require().Empty(left)
}
