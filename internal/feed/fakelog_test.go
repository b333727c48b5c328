package feed

import (
	"context"
	"sync"

	"github.com/oxide-k/stateregistry/db"
)

// fakeLog is a log in memory.
type fakeLog struct {
	mu      sync.Mutex
	changes []db.Change
	moved   bool
	quiet   bool    // Moved never says so
	errs    []error // what the next looks meet
	opened  int
	closed  int
	looks   int           // at its bounds
	reads   int           // of its changes
	closing chan struct{} // Close waits for it, if there is one
}

func (l *fakeLog) open(context.Context) (Log, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened++
	return l, nil
}

func (l *fakeLog) Close() error {
	if l.closing != nil {
		<-l.closing
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed++
	return nil
}

func (l *fakeLog) Moved() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := l.moved && !l.quiet
	l.moved = l.moved && l.quiet
	return moved, nil
}

func (l *fakeLog) Bounds() (oldest, newest int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.looks++
	if len(l.errs) > 0 {
		err, l.errs = l.errs[0], l.errs[1:]
		return 0, 0, err
	}
	if n := len(l.changes); n > 0 {
		oldest, newest = l.changes[0].Revision, l.changes[n-1].Revision
	}
	return oldest, newest, nil
}

func (l *fakeLog) Changes(after int64, limit int) (found []db.Change, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	for _, c := range l.changes {
		if c.Revision > after && len(found) < limit {
			found = append(found, c)
		}
	}
	return found, nil
}

// add appends n changes, in one commit.
func (l *fakeLog) add(n int, key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		next := int64(1)
		if len(l.changes) > 0 {
			next = l.changes[len(l.changes)-1].Revision + 1
		}
		l.changes = append(l.changes, db.Change{Revision: next, Subject: "s", Key: key, Op: "put"})
	}
	l.moved = true
}

// do changes the log behind the feed's back.
func (l *fakeLog) do(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
}
