package feed

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/oxide-k/stateregistry/db"
)

// ErrClosed is what a closed feed answers.
var ErrClosed = errors.New("the feed is closed")

// Log is the change log on a connection of its own. One goroutine uses it.
type Log interface {
	// Moved reports whether somebody may have committed since the last call. It costs little.
	Moved() (bool, error)
	// Bounds are the revisions of the oldest and the newest change.
	Bounds() (oldest, newest int64, err error)
	// Changes are those after a revision, at most limit, in order.
	Changes(after int64, limit int) ([]db.Change, error)
	Close() error
}

// Feed is who watches one registry. It is safe for concurrent use.
type Feed struct {
	open     func(context.Context) (Log, error)
	interval time.Duration
	current  atomic.Pointer[tail] // nil while nobody watches
	closed   chan struct{}

	mu       sync.Mutex // held while the watchers' number changes
	watchers int
	leaving  sync.WaitGroup // those who end a tail that is no longer current
}

// New is a feed without watchers. It opens a log when the first one joins, asks it for the commits of others once in an
// interval, and closes it when the last one leaves.
func New(open func(context.Context) (Log, error), interval time.Duration) *Feed {
	return &Feed{open: open, interval: interval, closed: make(chan struct{})}
}

// Committed says that this registry has committed something. It waits for nobody.
func (f *Feed) Committed() {
	if t := f.current.Load(); t != nil {
		t.nudge()
	}
}

// Join adds a watcher, which must leave.
func (f *Feed) Join() (*Watcher, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	select {
	case <-f.closed:
		return nil, ErrClosed
	default:
	}
	t := f.current.Load()
	if t == nil {
		t = newTail()
		f.current.Store(t) // before it looks, so that no commit goes unsaid
		go t.run(f.open, f.interval)
	}
	f.watchers++
	return &Watcher{feed: f, tail: t}, nil
}

// Close ends all watching, and returns when nothing of it is left. It is called once.
func (f *Feed) Close() {
	f.mu.Lock()
	close(f.closed)
	t := f.current.Swap(nil)
	f.mu.Unlock()
	if t != nil {
		t.end()
	}
	f.leaving.Wait() // for what somebody else ends
}

// Watcher is one of those who watch. It is not safe for concurrent use.
type Watcher struct {
	feed *Feed
	tail *tail
}

// Leave ends the watching. The last one to leave returns when nothing is left of it.
func (w *Watcher) Leave() {
	f := w.feed
	f.mu.Lock()
	f.watchers--
	var t *tail
	if f.watchers == 0 {
		if t = f.current.Swap(nil); t != nil {
			f.leaving.Add(1)
		}
	}
	f.mu.Unlock()
	if t != nil {
		defer f.leaving.Done()
		t.end()
	}
}

// Closed is closed with the feed.
func (w *Watcher) Closed() <-chan struct{} { return w.feed.closed }

// Since says how to go on after a revision. There are changes at hand: some of those that follow it, in order. Or the
// revision is known to be the newest: there is nothing to do until grown is closed. Or, with neither, it takes a look at
// the log itself; if that has nothing either, grown is closed when it may have.
func (w *Watcher) Since(after int64) (changes []db.Change, newest bool, grown <-chan struct{}) {
	return w.tail.since(after)
}
