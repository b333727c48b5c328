package sqlite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// Wait is how long to wait for other connections' locks.
type Wait struct {
	Limit time.Duration
	Eager bool // try again sooner, for who has much to do under one lock, and gives way afterwards
}

// The pause between two tries: short and random, so that of many waiters each gets its turn. SQLite's own back-off
// grows to 100 ms and starves whoever came last.
const (
	minPause = 100 * time.Microsecond
	maxPause = time.Millisecond

	eagerPause = 100 * time.Microsecond // at most
)

// Retry calls try until it returns something else than a busy error, until ctx ends (its error is returned), or until
// the limit has passed (the busy error is returned, and IsBusy holds). try is called at least once, unless ctx has ended.
func (w Wait) Retry(ctx context.Context, try func() error) error {
	var started time.Time
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := try()
		if err == nil || !IsBusy(err) {
			return err
		}
		if started.IsZero() {
			started = time.Now()
		} else if waited := time.Since(started); waited >= w.Limit {
			return fmt.Errorf("locked by another connection for %s: %w", waited.Round(time.Millisecond), err)
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
