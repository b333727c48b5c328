package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Wait is how long a call waits for others: for its turn, for a connection, for the locks of other connections. Start begins
// to count; what takes a Wait that has not started starts it. So a call that waits for one thing after another starts its
// Wait once, and hands it on.
type Wait struct {
	Limit time.Duration
	Eager bool // try again sooner, for who has much to do under one lock, and gives way afterwards

	since time.Time // zero: not started
}

// Start returns w with its limit counted from now on, or as it is if it has started already.
func (w Wait) Start() Wait {
	if w.since.IsZero() {
		w.since = time.Now()
	}
	return w
}

// Stop returns w with what is left of its limit, not started: what the call does itself from now on does not count.
func (w Wait) Stop() Wait { return Wait{Limit: w.Left(), Eager: w.Eager} }

// Left returns how much of the limit has not passed yet, 0 if all has.
func (w Wait) Left() time.Duration {
	if w.since.IsZero() {
		return w.Limit
	}
	return max(0, w.Limit-time.Since(w.since))
}

type waitKey struct{}

// WithWait returns a context with which calls wait no longer than w says, whatever their default is.
func WithWait(ctx context.Context, w Wait) context.Context {
	return context.WithValue(ctx, waitKey{}, w)
}

// In returns the Wait of ctx, with w's eagerness, or w if it has none.
func (w Wait) In(ctx context.Context) Wait {
	if of, ok := ctx.Value(waitKey{}).(Wait); ok {
		of.Eager = w.Eager
		return of
	}
	return w
}

// The pause between two tries: short and random, so that of many waiters each gets its turn. SQLite's own back-off
// grows to 100 ms and starves whoever came last.
const (
	minPause = 100 * time.Microsecond
	maxPause = time.Millisecond

	eagerPause = 100 * time.Microsecond // at most
)

// Retry calls try until it returns something else than a busy error, until ctx ends (its error is returned), or until
// the limit has passed (the busy error is returned, and IsBusy holds). try is called at least once, unless ctx has ended. A
// Wait that has not started starts with the first busy error.
func (w Wait) Retry(ctx context.Context, try func() error) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := try()
		if err == nil || !IsBusy(err) {
			return err
		}
		if w = w.Start(); w.Left() == 0 {
			return fmt.Errorf("locked by another connection, waited %s: %w", time.Since(w.since).Round(time.Millisecond), err)
		}
		if err := w.pause(ctx); err != nil {
			return err
		}
	}
}

// Until calls try until it returns nil, until ctx ends (its error is returned), or until the limit has passed (try's last error is
// returned).
func (w Wait) Until(ctx context.Context, try func() error) error {
	w = w.Start()
	for {
		err := try()
		if err == nil || w.Left() == 0 {
			return err
		}
		if err := w.pause(ctx); err != nil {
			return err
		}
	}
}

// GiveWay lets others have the lock that was just given back: it waits until each that pauses has tried again. Who takes
// the lock again and again for long would starve them otherwise.
func GiveWay(ctx context.Context) { _ = sleep(ctx, 2*maxPause) }

func (w Wait) pause(ctx context.Context) error {
	if w.Eager {
		return sleep(ctx, rand.N(eagerPause))
	}
	return sleep(ctx, minPause+rand.N(maxPause-minPause))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
