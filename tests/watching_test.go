package tests

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/oxide-k/stateregistry/registry"
)

// watching is a loop over a watch, in a goroutine: each element waits there until next takes it.
type watching struct {
	t       testing.TB
	changes chan registry.Change
	ended   chan error // what the loop ended with
	cancel  context.CancelFunc
}

// beginWatch begins a loop. It is ended with the test.
func beginWatch(t testing.TB, reg *registry.Registry, after int64, opts ...registry.WatchOption) *watching {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watching{t: t, changes: make(chan registry.Change), ended: make(chan error, 1), cancel: cancel}
	elements := reg.Watch(ctx, after, opts...)
	go func() {
		w.ended <- func() error {
			for change, err := range elements {
				if err != nil {
					return err
				}
				select {
				case w.changes <- change:
				case <-ctx.Done():
				}
			}
			return nil
		}()
	}()
	t.Cleanup(cancel)
	return w
}

// next waits for a change.
func (w *watching) next() registry.Change {
	w.t.Helper()
	select {
	case change := <-w.changes:
		return change
	case err := <-w.ended:
		require.FailNow(w.t, "the watch ended", "%v", err)
	case <-time.After(patience):
		require.FailNow(w.t, "no change came")
	}
	panic("unreachable")
}

// revisions are those of the next n changes.
func (w *watching) revisions(n int) (revisions []int64) {
	w.t.Helper()
	for range n {
		revisions = append(revisions, w.next().Revision)
	}
	return revisions
}

// end waits for the loop to end by itself.
func (w *watching) end() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case change := <-w.changes:
		require.FailNow(w.t, "another change came", "%+v", change)
	case <-time.After(patience):
		require.FailNow(w.t, "the watch goes on")
	}
	panic("unreachable")
}

// last waits for the loop to end by itself, whatever it gives until then.
func (w *watching) last() error {
	w.t.Helper()
	for {
		select {
		case <-w.changes:
		case err := <-w.ended:
			return err
		case <-time.After(patience):
			require.FailNow(w.t, "the watch goes on")
		}
	}
}

// stop ends the loop by its context, without a word.
func (w *watching) stop() {
	w.t.Helper()
	w.cancel()
	require.NoError(w.t, w.end())
}

// upTo is from, from+1, … to.
func upTo(from, to int64) (revisions []int64) {
	for ; from <= to; from++ {
		revisions = append(revisions, from)
	}
	return revisions
}
