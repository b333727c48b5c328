package tests

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// watch compares what a watch gives that begins somewhere in the log.
func (x *modelCalls) watch() {
	reg, ok := x.to.(*registry.Registry)
	if !ok {
		return // a transaction has none
	}
	after := x.state.oldest() - 1 + x.random.Int64N(x.state.revision-x.state.oldest()+2)
	if x.chance(4) {
		after = max(0, x.state.oldest()-2-x.random.Int64N(3))
	}
	var opts []registry.WatchOption
	subject, prefix := "", ""
	if x.chance(3) {
		subject = pickOne(x.random, []string{registry.SubjectConfig, registry.SubjectModule, "audit", "none"})
		opts = append(opts, registry.InSubject(subject))
	}
	if x.chance(3) {
		prefix = x.prefix()
		opts = append(opts, registry.WithPrefix(prefix))
	}
	all, ok := x.state.changes(after, len(x.state.log))
	want := slices.DeleteFunc(slices.Clone(all), func(c registry.Change) bool {
		return subject != "" && c.Subject != subject || !strings.HasPrefix(c.Key, prefix)
	})
	x.say("Watch after %d: %d of %d changes, compacted: %v", after, len(want), len(all), !ok)
	if ok && len(want) == 0 {
		return // it would wait
	}
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	var got []registry.Change
	var ended error
	for change, err := range reg.Watch(ctx, after, opts...) {
		if ended = err; err != nil {
			continue
		}
		if got = append(got, untimed(change)); len(got) == len(want) {
			break
		}
	}
	x.NoError(ctx.Err())
	if !ok {
		x.meet("Watch: compacted")
		x.isTyped(ended, registry.ErrCompacted)
		x.Empty(got)
		return
	}
	x.meet("Watch: some")
	x.NoError(ended)
	x.Equal(want, got)
}

// untimed is a change as the model has it.
func untimed(c registry.Change) registry.Change {
	if c.Op == registry.OpDelete {
		c.At = time.Time{}
	}
	return c
}

// modelWatching is a watch that goes on while things happen, until its registry is closed, or the log goes on without it.
type modelWatching struct {
	on   *registry.Registry
	last int64
	next func() (registry.Change, error, bool)
	end  func()
}

func (w *modelWatching) stop() {
	if w != nil {
		w.end()
	}
}

// sameWatched compares what has come of the watch since the last operation.
func (r *modelRun) sameWatched() {
	w := r.watched
	if w != nil && !slices.Contains(r.handles, w.on) {
		r.meet("watching: closed")
		for { // what was on its way comes first
			change, err, ok := w.next()
			r.True(ok)
			if err != nil {
				r.isTyped(err, registry.ErrClosed)
				break
			}
			r.Equal(w.last+1, change.Revision)
			w.last++
		}
		w.stop()
		w = nil
	}
	if w != nil && r.state.oldest() > w.last+1 { // whether it noticed in time, nobody knows
		r.meet("watching: fell out")
		w.stop()
		w = nil
	}
	if w == nil {
		w = &modelWatching{on: r.handle(), last: r.state.revision}
		w.next, w.end = iter.Pull2(w.on.Watch(r.ctx, registry.FromNow))
		r.watched = w
	}
	want, ok := r.state.changes(w.last, len(r.state.log))
	r.True(ok)
	for _, c := range want {
		change, err, ok := w.next()
		r.True(ok)
		r.NoError(err)
		r.Equal(c, untimed(change))
		w.last = c.Revision
		r.meet("watching: followed")
	}
}
