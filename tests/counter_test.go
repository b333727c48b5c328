package tests

import (
	"errors"
	"flag"
	"fmt"
	"math"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

var counting = flag.Duration("counting", time.Second, "how long processes count together")

// Many processes that count with one counter.
func TestCounter(t *testing.T) {
	runInFileModes(t, func() *counterSuite { return &counterSuite{} })
}

type counterSuite struct{ fileSuite }

const counters = 8 // goroutines of each process

func (s *counterSuite) TestNoAcknowledgedIncrementIsLostAndNoErrorSurfaces() {
	path := s.create("x.db")
	duration := *counting
	if s.mode.origin {
		duration /= 8
	}
	var children []*child
	for range processes {
		children = append(children, startRole(s.T(), "count", s.mode.name, path))
	}
	for _, c := range children {
		s.Require().Equal("ready", c.hear())
	}
	for _, c := range children {
		c.say(duration.String())
	}
	sum, longest, fewest, most := 0, time.Duration(0), math.MaxInt, 0
	for _, c := range children {
		var n int
		var microseconds int64
		_, err := fmt.Sscan(c.hear(), &n, &microseconds)
		s.Require().NoError(err)
		c.wait()
		sum += n
		longest = max(longest, time.Duration(microseconds)*time.Microsecond)
		fewest, most = min(fewest, n), max(most, n)
	}
	reg := s.open(path)
	n, err := registry.Get[int](s.T().Context(), reg, "counter")
	s.Require().NoError(err)
	s.Require().Equal(sum, n)
	s.Require().Positive(fewest)
	s.T().Logf("%d increments in %s, %d to %d by each process; the longest wait was %s",
		sum, duration, fewest, most, longest)
}

// roleCount counts in some goroutines, for as long as it is told.
func roleCount(args []string) error {
	reg, err := modeNamed(args[0]).open(background, args[1])
	if err != nil {
		return err
	}
	saying("ready")
	lines := hearing()
	lines.Scan()
	duration, err := time.ParseDuration(lines.Text())
	if err != nil {
		return err
	}
	end := time.Now().Add(duration)
	var mu sync.Mutex
	var total outcome
	var group sync.WaitGroup
	for range counters {
		group.Go(func() {
			var o outcome
			for o.err == nil && (o.calls == 0 || time.Now().Before(end)) { // once at least, however late it comes to it
				began := time.Now()
				_, o.err = registry.Modify(background, reg, "counter", func(n int, _ bool) (int, error) { return n + 1, nil })
				o.longest = max(o.longest, time.Since(began))
				if o.err == nil {
					o.calls++
				}
			}
			mu.Lock()
			defer mu.Unlock()
			total.calls += o.calls
			total.longest = max(total.longest, o.longest)
			total.err = errors.Join(total.err, o.err)
		})
	}
	group.Wait()
	if total.err != nil {
		return total.err
	}
	saying(strconv.Itoa(total.calls), strconv.FormatInt(total.longest.Microseconds(), 10))
	return reg.Close()
}
