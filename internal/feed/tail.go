package feed

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/oxide-k/stateregistry/db"
	"github.com/oxide-k/stateregistry/internal/sqlite"
)

const (
	maxRecent      = 1024    // changes that are kept
	maxRecentBytes = 1 << 20 // of their text: a subsystem's keys may be of any length
	page           = 64      // changes that are handed out at once
)

// tail follows the end of the log in a goroutine of its own.
type tail struct {
	ctx    context.Context // ends when nobody watches any more
	cancel context.CancelFunc
	done   chan struct{} // closed when the goroutine has ended
	nudged chan struct{} // holds a token where the log shall be looked at at once

	mu     sync.Mutex
	newest int64       // the newest revision that is known, or unknown
	recent []db.Change // consecutive, up to newest, from where the log began when it had grown last
	bytes  int         // of the text in recent
	grown  chan struct{}
}

// unknown is no revision.
const unknown int64 = -1

// newTail is a tail whose goroutine, run, the caller starts.
func newTail() *tail {
	ctx, cancel := context.WithCancel(context.Background())
	return &tail{
		ctx: ctx, cancel: cancel, done: make(chan struct{}), nudged: make(chan struct{}, 1),
		newest: unknown, grown: make(chan struct{}),
	}
}

func (t *tail) end() {
	t.cancel()
	<-t.done
}

func (t *tail) nudge() {
	select {
	case t.nudged <- struct{}{}:
	default: // it is going to look anyway
	}
}

func (t *tail) since(after int64) (changes []db.Change, newest bool, grown <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if missing := t.newest - after; missing > 0 && missing <= int64(len(t.recent)) {
		rest := t.recent[int64(len(t.recent))-missing:]
		changes = slices.Clone(rest[:min(len(rest), page)])
	}
	return changes, after == t.newest, t.grown
}

// run looks at the log when it is nudged, and when somebody else may have committed.
func (t *tail) run(open func(context.Context) (Log, error), interval time.Duration) {
	defer close(t.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	var log Log
	defer func() {
		if log != nil {
			_ = log.Close()
		}
	}()
	for due := true; ; {
		var err error
		if log == nil {
			log, err = open(t.ctx)
		}
		if due && err == nil {
			err = t.look(log)
		}
		switch {
		case err == nil:
			due = false
		case t.ctx.Err() != nil:
		case sqlite.IsBusy(err): // what holds the lock off will commit, or not: the state is what it was until then
			due = true
		default:
			// Whoever watches finds out by itself what is wrong. The next tick tries again, on a connection of its own.
			t.forget()
			due = true
			if log != nil {
				_ = log.Close()
				log = nil
			}
		}
		select {
		case <-t.ctx.Done():
			return
		case <-t.nudged:
			due = true
		case <-ticker.C:
			if log != nil && !due {
				moved, err := log.Moved()
				due = moved || err != nil // the look meets the error again, if it stays
			}
		}
	}
}

// look takes in what the log has got since the last look, or the end of that where it is too much.
func (t *tail) look(log Log) error {
	oldest, newest, err := log.Bounds()
	if err != nil || newest == t.newest { // nobody else writes it
		return err
	}
	var changes []db.Change
	if t.newest != unknown { // else nothing is missing: who begins to watch reads the log first
		changes, err = log.Changes(max(t.newest, newest-maxRecent, oldest-1), maxRecent)
		if err != nil {
			return err
		}
	}
	t.add(changes, oldest, newest)
	return nil
}

// add takes changes in that were read when these were the bounds of the log, and wakes all watchers.
func (t *tail) add(changes []db.Change, oldest, newest int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !consecutive(changes) { // a damaged log: who watches it reads it, and says so
		changes = nil
	}
	if len(changes) == 0 || changes[0].Revision != t.newest+1 {
		t.recent, t.bytes = nil, 0
	}
	t.recent = append(t.recent, changes...)
	for _, c := range changes {
		t.bytes += textOf(c)
	}
	t.newest = newest
	if len(changes) > 0 {
		t.newest = changes[len(changes)-1].Revision
	}
	drop := 0
	for ; drop < len(t.recent); drop++ {
		if len(t.recent)-drop <= maxRecent && t.bytes <= maxRecentBytes && t.recent[drop].Revision >= oldest {
			break
		}
		t.bytes -= textOf(t.recent[drop])
	}
	clear(t.recent[:drop]) // the array stays for a while, and what it refers to
	t.recent = t.recent[drop:]
	t.wake()
}

// forget says that nothing is known, and wakes all watchers, who then see for themselves.
func (t *tail) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newest, t.recent, t.bytes = unknown, nil, 0
	t.wake()
}

func (t *tail) wake() {
	close(t.grown)
	t.grown = make(chan struct{})
}

func consecutive(changes []db.Change) bool {
	for i, c := range changes {
		if c.Revision != changes[0].Revision+int64(i) {
			return false
		}
	}
	return true
}

// textOf is how many bytes of text a change holds.
func textOf(c db.Change) int { return len(c.Subject) + len(c.Key) + len(c.Op) }
