package main

import (
	"context"
	"errors"
	"fmt"
)

// The jobs of a fixture, whatever its values. An id is the kind of job and what sets it apart; bars and plots go by it.

func (f *fixture[T]) read(id, title string) job {
	return job{
		id: id, title: title, unit: microseconds("read"), slice: f.m.scale.slice,
		sides: f.sides(1, func(ctx context.Context, s store[T], key string, _ uint64) error {
			_, err := s.Read(ctx, key)
			return err
		}),
	}
}

// uncached are the peers without those that differ in how they read only.
func (f *fixture[T]) uncached() []string {
	var names []string
	for _, p := range f.peers {
		if p.name != cachedRegistry && p.name != cachedEncrypted {
			names = append(names, p.name)
		}
	}
	return names
}

func (f *fixture[T]) write(id, title string, writers int) job {
	return job{
		id: id, title: title, unit: microseconds("write"), slice: f.m.scale.writeSlice,
		sides: f.sides(writers, func(ctx context.Context, s store[T], key string, n uint64) error {
			if b, ok := s.(batcher[T]); ok && writers >= manyWriters {
				return b.WriteBatched(ctx, key, f.value(n))
			}
			return s.Write(ctx, key, f.value(n))
		}, f.uncached()...),
	}
}

// manyWriters are as many as make it worth their while to wait for each other, where a store leaves that to the caller.
const manyWriters = 64

// mixed reads nine times for each write.
func (f *fixture[T]) mixed(id, title string, workers int) job {
	return job{
		id: id, title: title, unit: microseconds("call"), slice: f.m.scale.writeSlice,
		sides: f.sides(workers, func(ctx context.Context, s store[T], key string, n uint64) error {
			if n%10 == 0 {
				return s.Write(ctx, key, f.value(n))
			}
			_, err := s.Read(ctx, key)
			return err
		}),
	}
}

func (f *fixture[T]) list(id, title, prefix string, want int, in unit) job {
	return job{
		id: id, title: title, unit: in, slice: f.m.scale.slice,
		sides: f.sides(1, func(ctx context.Context, s store[T], _ string, _ uint64) error {
			got := 0
			err := s.List(ctx, prefix, func(string, T) { got++ })
			if err == nil && got != want {
				err = fmt.Errorf("%d entries instead of %d", got, want)
			}
			return err
		}, f.uncached()...),
	}
}

// with fills and opens a fixture, lends it, and removes it.
func with[T any](
	ctx context.Context, m *meter, entries int, value func(uint64) T, peers []peer[T], use func(*fixture[T]) error,
) (err error) {
	f, err := fill(ctx, m, entries, value, peers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.remove()) }()
	if err := f.open(ctx); err != nil {
		return err
	}
	return use(f)
}

func smallValues(ctx context.Context, m *meter) error {
	return with(ctx, m, m.scale.entries, newFlat(smallSize), peers[flat](), func(f *fixture[flat]) error {
		n := len(f.keys)
		listed := min(prefixEntries, n)
		err := m.measure(ctx,
			f.read("read/64B", fmt.Sprintf("Point read, decoded: one of %s entries of 64 B", grouped(n))),
			settings(f),
			f.list("list/all", fmt.Sprintf("List of all %s entries of 64 B, decoded", grouped(n)), "bench/", n, milliseconds("list")),
			f.list("list/prefix", fmt.Sprintf("List of the %d entries under a prefix, decoded", listed), prefix, listed, microseconds("list")),
			f.mixed("mixed/64B", "Nine reads for each durable write of 64 B, eight goroutines", 8),
			f.write("write/64B/1", "Durable write of 64 B, one writer", 1),
			f.write("write/64B/8", "Durable write of 64 B, 8 writers", 8),
			f.write("write/64B/64", "Durable write of 64 B, 64 writers", manyWriters),
		)
		return errors.Join(err, settingAllocations(ctx, f))
	})
}

func valuesWithSlices(ctx context.Context, m *meter) error {
	sides := peers[withSlice](handWritten, bboltPeer, plainRegistry, cachedRegistry, cachedEncrypted)
	return with(ctx, m, m.scale.entries, newWithSlice(), sides, func(f *fixture[withSlice]) error {
		return m.measure(ctx, f.read("read/slice", fmt.Sprintf(
			"Point read, decoded into a struct with a slice in it: one of %s entries of some 64 B", grouped(len(f.keys)))))
	})
}

func mediumValues(ctx context.Context, m *meter) error {
	return with(ctx, m, m.scale.entries, newFlat(mediumSize), peers[flat](), func(f *fixture[flat]) error {
		return m.measure(ctx,
			f.read("read/4KiB", fmt.Sprintf("Point read, decoded: one of %s entries of 4 KiB", grouped(len(f.keys)))),
			f.write("write/4KiB/1", "Durable write of 4 KiB, one writer", 1),
			f.write("write/4KiB/8", "Durable write of 4 KiB, 8 writers", 8),
			f.write("write/4KiB/64", "Durable write of 4 KiB, 64 writers", manyWriters),
		)
	})
}

func largeValues(ctx context.Context, m *meter) error {
	return with(ctx, m, m.scale.largeEntries, newFlat(largeSize), peers[flat](), func(f *fixture[flat]) error {
		return m.measure(ctx,
			f.read("read/256KiB", fmt.Sprintf("Point read, decoded: one of %s entries of 256 KiB", grouped(len(f.keys)))),
			f.write("write/256KiB/1", "Durable write of 256 KiB, one writer", 1),
		)
	})
}
