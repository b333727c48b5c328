package registry

import (
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

func newGate() *gate { return &gate{empty: make(chan struct{}, 1)} }

func TestGateRefusesCallsOnceItIsClosed(t *testing.T) {
	g := newGate()
	require.NoError(t, g.enter())
	require.NoError(t, g.enter())
	g.leave()
	g.leave()
	g.close()
	require.ErrorIs(t, g.enter(), ErrClosed)
	require.ErrorIs(t, g.enter(), ErrClosed)
}

// TestGateClosesWhenTheLastCallHasLeft closes among many calls, again and again: none is running once close is back.
func TestGateClosesWhenTheLastCallHasLeft(t *testing.T) {
	for range 200 {
		g := newGate()
		var running atomic.Int64
		var callers sync.WaitGroup
		for range 8 {
			require.NoError(t, g.enter()) // so that close has to wait, and to count
			callers.Go(func() {
				running.Add(1)
				runtime.Gosched()
				running.Add(-1)
				g.leave()
				for g.enter() == nil {
					running.Add(1)
					runtime.Gosched()
					running.Add(-1)
					g.leave()
				}
			})
		}
		g.close()
		require.Zero(t, running.Load(), "calls that were running when close came back")
		callers.Wait()
	}
}
