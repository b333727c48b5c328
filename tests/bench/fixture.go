package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"time"
)

// fixture is a store of each of some peers, all with the same entries.
type fixture[T any] struct {
	m      *meter
	dir    string
	peers  []peer[T]
	keys   []string
	value  func(n uint64) T
	stores map[string]store[T] // those that are open
}

// fill makes a fixture. Its stores are closed, so that what filling them left behind is not measured.
func fill[T any](
	ctx context.Context, m *meter, entries int, value func(uint64) T, peers []peer[T],
) (f *fixture[T], err error) {
	dir, err := os.MkdirTemp(m.dir, "")
	if err != nil {
		return nil, err
	}
	f = &fixture[T]{m: m, dir: dir, peers: peers, keys: keys(entries), value: value, stores: map[string]store[T]{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.remove())
		}
	}()
	for _, p := range peers {
		m.say("filling: %s, %s entries", p.name, grouped(entries))
		if err := os.Mkdir(f.folder(p), 0o700); err != nil {
			return nil, err
		}
		s, err := p.open(ctx, f.folder(p))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		if err := errors.Join(s.Fill(ctx, f.entries), s.Close()); err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return f, nil
}

func (f *fixture[T]) folder(p peer[T]) string { return filepath.Join(f.dir, p.name) }

// entries are those that the stores are filled with.
func (f *fixture[T]) entries(yield func(string, T) bool) {
	for i, key := range f.keys {
		if !yield(key, f.value(uint64(i))) {
			return
		}
	}
}

// open opens all stores, and checks that they do what is measured.
func (f *fixture[T]) open(ctx context.Context) error {
	for _, p := range f.peers {
		s, err := p.open(ctx, f.folder(p))
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		f.stores[p.name] = s
		if err := errors.Join(f.check(ctx, s), f.warm(ctx, s)); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

// warmReads is how many reads bring a store's caches to where they stay.
const warmReads = 100_000

// warm reads all entries, or as many as warmReads: what is measured is a store that is in use.
func (f *fixture[T]) warm(ctx context.Context, s store[T]) error {
	for _, i := range f.m.random.Perm(len(f.keys))[:min(len(f.keys), warmReads)] {
		if _, err := s.Read(ctx, f.keys[i]); err != nil {
			return err
		}
	}
	return nil
}

// check reads, writes and lists: a side that is fast because it does something else would be worth nothing. It leaves the
// entries as they were.
func (f *fixture[T]) check(ctx context.Context, s store[T]) error {
	last := len(f.keys) - 1
	original, other := f.value(uint64(last)), f.value(uint64(last+1))
	if err := f.holds(ctx, s, last, original); err != nil {
		return err
	}
	batched := s.Write
	if b, ok := s.(batcher[T]); ok {
		batched = b.WriteBatched
	}
	return errors.Join(
		batched(ctx, f.keys[last], other), f.holds(ctx, s, last, other),
		s.Write(ctx, f.keys[last], original), f.holds(ctx, s, last, original),
		f.lists(ctx, s, "bench/", len(f.keys)), f.lists(ctx, s, prefix, min(prefixEntries, len(f.keys))),
	)
}

// lists fails unless a list has the first n entries.
func (f *fixture[T]) lists(ctx context.Context, s store[T], prefix string, n int) error {
	seen, wrong := 0, 0
	err := s.List(ctx, prefix, func(key string, value T) {
		if seen >= n || key != f.keys[seen] || !reflect.DeepEqual(value, f.value(uint64(seen))) {
			wrong++
		}
		seen++
	})
	if err == nil && (seen != n || wrong > 0) {
		err = fmt.Errorf("the list of %q has %d entries instead of %d, %d of them wrong", prefix, seen, n, wrong)
	}
	return err
}

func (f *fixture[T]) holds(ctx context.Context, s store[T], i int, want T) error {
	got, err := s.Read(ctx, f.keys[i])
	if err == nil && !reflect.DeepEqual(got, want) {
		err = fmt.Errorf("%s holds another value than it should", f.keys[i])
	}
	return err
}

// close closes all stores.
func (f *fixture[T]) close() error {
	var errs []error
	for name, s := range f.stores {
		errs = append(errs, s.Close())
		delete(f.stores, name)
	}
	return errors.Join(errs...)
}

// remove closes all stores and removes them.
func (f *fixture[T]) remove() error { return errors.Join(f.close(), os.RemoveAll(f.dir)) }

// sides are all peers, or those with the names, each making the same call on its own store.
func (f *fixture[T]) sides(
	workers int, call func(ctx context.Context, s store[T], key string, n uint64) error, names ...string,
) []side {
	var sides []side
	for _, p := range f.peers {
		if len(names) > 0 && !slices.Contains(names, p.name) {
			continue
		}
		s := f.stores[p.name]
		sides = append(sides, side{
			name: p.name, reference: reference(p.name), workers: workers,
			run: func(ctx context.Context, calls int) (time.Duration, error) {
				return f.m.timed(ctx, f.keys, workers, calls, func(ctx context.Context, key string, n uint64) error {
					return call(ctx, s, key, n)
				})
			},
		})
	}
	return sides
}
