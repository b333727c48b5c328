package main

import (
	"bytes"
	"io"
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
