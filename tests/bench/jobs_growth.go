package main

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

// growth compares the same jobs over numbers of entries.
func growth(ctx context.Context, m *meter) (err error) {
	names := []string{handWritten, handWrittenEncrypted, bboltPeer, badgerPeer, plainRegistry, encryptedRegistry}
	var fixtures []*fixture[flat]
	defer func() {
		for _, f := range fixtures {
			err = errors.Join(err, f.remove())
		}
	}()
	for _, entries := range m.scale.growth {
		f, err := fill(ctx, m, entries, newFlat(smallSize), peers[flat](names...))
		if err != nil {
			return err
		}
		fixtures = append(fixtures, f)
	}
	opened := job{
		id: "growth/open", title: "Opening a file that is there, and one point read", unit: milliseconds("open"), slice: m.scale.slice,
		note: "The file is in the system's page cache, and nobody else has it open. Raw keys: a passphrase takes its Argon2id besides.",
	}
	for _, f := range fixtures {
		opened.sides = append(opened.sides, f.grown(f.opens(ctx))...)
	}
	if err := m.measure(ctx, opened); err != nil {
		return err
	}

	read := job{id: "growth/read", title: "Point read, decoded, by the number of entries of 64 B", unit: microseconds("read"), slice: m.scale.slice}
	for _, f := range fixtures {
		if err := f.open(ctx); err != nil {
			return err
		}
		read.sides = append(read.sides, f.grown(f.read("", "").sides)...)
	}
	if err := m.measure(ctx, read); err != nil {
		return err
	}
	var registries []rotated
	for _, f := range fixtures {
		if err := f.close(); err != nil {
			return err
		}
		encrypted := filepath.Join(f.dir, encryptedRegistry, registryFile)
		registries = append(registries, rotated{encrypted, len(f.keys)})
		f.keys = nil // a million of them would be most of the heap
	}
	return rotations(ctx, m, registries[1], registries[len(registries)-1])
}

// variant is how many entries there are, in words.
func (f *fixture[T]) variant() string { return grouped(len(f.keys)) + " entries" }

// grown are sides that are compared with themselves at the smallest number of entries.
func (f *fixture[T]) grown(sides []side) []side {
	for i := range sides {
		sides[i].variant = f.variant()
		sides[i].reference = label(sides[i].name, grouped(f.m.scale.growth[0])+" entries")
	}
	return sides
}

// opens are sides that open their store, which is closed again outside of the time.
func (f *fixture[T]) opens(ctx context.Context) []side {
	var sides []side
	for _, p := range f.peers {
		open := func() (took time.Duration, err error) {
			began := time.Now()
			s, err := p.open(ctx, f.folder(p))
			if err != nil {
				return 0, err
			}
			_, err = s.Read(ctx, f.keys[len(f.keys)/2])
			took = time.Since(began)
			return took, errors.Join(err, s.Close())
		}
		sides = append(sides, side{name: p.name, workers: 1, run: func(_ context.Context, calls int) (total time.Duration, err error) {
			for range calls {
				took, err := open()
				if err != nil {
					return 0, err
				}
				total += took
			}
			return total, nil
		}})
	}
	return sides
}
