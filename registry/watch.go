package registry

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/oxide-k/stateregistry/internal/feed"
)

// FromNow, as the revision after which a watch begins, is the newest one at the moment of the call.
const FromNow int64 = -1

// WatchOption narrows down which changes a watch gives: those that pass all of its options. A second InSubject or WithPrefix
// does not widen what the first left.
type WatchOption func(*watchFilter) error

// watchFilter holds what each option demands.
type watchFilter []func(Change) bool

// InSubject is about the changes of one of the subjects: SubjectConfig, SubjectModule, or a subsystem's own.
func InSubject(subjects ...string) WatchOption {
	return func(f *watchFilter) error {
		if len(subjects) == 0 || slices.Contains(subjects, "") {
			return invalid("a watch without a subject")
		}
		subjects = slices.Clone(subjects)
		*f = append(*f, func(c Change) bool { return slices.Contains(subjects, c.Subject) })
		return nil
	}
}

// WithPrefix is about the changes whose key starts with prefix, byte for byte.
func WithPrefix(prefix string) WatchOption {
	return func(f *watchFilter) error {
		if err := checkPrefix(prefix); err != nil {
			return err
		}
		*f = append(*f, func(c Change) bool { return strings.HasPrefix(c.Key, prefix) })
		return nil
	}
}

// ofConfigKey is about the changes of one config entry.
func ofConfigKey(key string) WatchOption {
	return func(f *watchFilter) error {
		*f = append(*f, func(c Change) bool { return c.Subject == SubjectConfig && c.Key == key })
		return nil
	}
}

func (f watchFilter) pass(c Change) bool {
	return !slices.ContainsFunc(f, func(passes func(Change) bool) bool { return !passes(c) })
}

// Watch gives the changes with a revision above after, in order, each once and none left out, first those that the log
// has and then each when it comes: those of this Registry at once after their commit, and never before it; those of other
// processes, and of other Registries of this one, within 100 ms. A loop over it waits for the next change.
//
//	for change, err := range reg.Watch(ctx, revision, registry.InSubject(registry.SubjectConfig)) { … }
//
// To miss nothing, read the state and its Revision in one [Registry.View], and watch from that; to go on later, keep the
// revision of the last change. With options that one may be long ago, and out of the log's reach: be ready to read the state
// again, as after any ErrCompacted. [FromNow] begins with the call of Watch, not with the loop.
//
// The loop ends without a word when ctx does. Everything else that ends it comes as an error, as the last element:
// ErrCompacted where the log no longer reaches back to after, or to where a slow loop is, or where after is above the
// newest revision: read everything again; ErrClosed when the registry is closed; ErrInvalid for an argument that makes no
// sense, or a second loop over the same watch; ErrNested in a callback of this Registry; or what Changes gives, except for
// ErrBusy: a loop waits for the locks of others as long as it takes. (FromNow reads the revision, which may be ErrBusy.)
// A loop in a callback, with a context from outside of it, may wait for what that callback has yet to commit.
//
// Any number of loops may watch, each at its own speed: none holds up another, or a writer, and what a slow one has not
// read yet stays in the file. Nothing is held while no loop runs; during one (and until an iter.Pull is stopped), the
// registry follows the log in a goroutine and on a connection that all of them share. The body may use the registry, and
// close it.
func (r *Registry) Watch(ctx context.Context, after int64, opts ...WatchOption) iter.Seq2[Change, error] {
	w, err := r.newWatch(ctx, after, opts)
	var begun atomic.Bool
	return func(yield func(Change, error) bool) {
		if begun.Swap(true) {
			yield(Change{}, failed("watch", "", invalid("a watch is for one loop")))
			return
		}
		err := err
		if err == nil {
			err = w.run(ctx, yield)
		}
		misused := errors.Is(err, ErrInvalid) || errors.Is(err, ErrNested) // which a context that ended does not excuse
		if err != nil && err != errLeft && (misused || ctx.Err() == nil) {
			yield(Change{}, failed("watch", "", err))
		}
	}
}

// errLeft says that the loop was left, or its context has ended.
var errLeft = errors.New("the loop was left")

// watch is a Watch's loop.
type watch struct {
	registry *Registry
	after    int64 // the revision of the last change that was read
	filter   watchFilter
}

func (r *Registry) newWatch(ctx context.Context, after int64, opts []WatchOption) (*watch, error) {
	w := &watch{registry: r, after: after}
	if err := apply(&w.filter, opts); err != nil {
		return nil, err
	}
	if after < 0 && after != FromNow {
		return nil, invalid("revision %d", after)
	}
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	r.leave()
	var err error
	if after == FromNow {
		w.after, err = r.Revision(ctx)
	}
	return w, err
}

// watchPage is how many changes are read from the log at once by who is behind.
const watchPage = 256

func (w *watch) run(ctx context.Context, yield func(Change, error) bool) error {
	watcher, err := w.registry.feed.Join()
	if err != nil {
		return err
	}
	defer watcher.Leave()
	for first := true; ; first = false { // at first the log has the word: it may have lost what is still in memory
		rows, newest, grown := watcher.Since(w.after)
		changes := newChanges(rows)
		if first || len(changes) == 0 && !newest {
			err := untilFree(ctx, func() (err error) {
				changes, err = w.registry.changes(ctx, w.after, watchPage)
				return err
			})
			if err != nil {
				return err
			}
		}
		if err := w.pass(ctx, watcher, changes, yield); err != nil {
			return err
		}
		if len(changes) > 0 {
			continue
		}
		select {
		case <-grown:
		case <-watcher.Closed():
			return ErrClosed
		case <-ctx.Done():
			return errLeft
		}
	}
}

// pass hands on the changes that the watch is about.
func (w *watch) pass(
	ctx context.Context, watcher *feed.Watcher, changes []Change, yield func(Change, error) bool,
) error {
	if n := len(changes); n > 0 {
		w.registry.reads.learn(changes[n-1].Revision) // who is told of a change reads what it made
	}
	for _, change := range changes {
		w.after = change.Revision
		if !w.filter.pass(change) {
			continue
		}
		select {
		case <-watcher.Closed():
			return ErrClosed
		default:
		}
		if ctx.Err() != nil || !yield(change, nil) {
			return errLeft
		}
	}
	return nil
}
