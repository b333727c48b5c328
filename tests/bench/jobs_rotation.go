package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// rotations rotates the encrypted registries of two fixtures, in turns, and watches the heap.
func rotations(ctx context.Context, m *meter, fixtures ...*fixture[flat]) error {
	speed := result{
		id: "rotation", title: "Rotation of the keyset, every entry of 64 B encrypted anew",
		unit: unit{name: "entries", of: "second", size: 1, inverse: true},
	}
	heap := result{
		id: "rotation/heap", title: "Growth of the heap in use during a rotation, at its peak",
		unit: unit{name: "MiB", size: 1 << 20},
		note: "Of Go's heap, sampled every millisecond. SQLite's page cache, 8 MiB for each connection at most, is not in it.",
	}
	first := fixtures[0].variant()
	for _, f := range fixtures {
		for _, r := range []*result{&speed, &heap} {
			r.series = append(r.series, series{name: encryptedRegistry, variant: f.variant(), reference: label(encryptedRegistry, first)})
		}
	}
	for range m.scale.rotations {
		for _, i := range m.random.Perm(len(fixtures)) {
			f := fixtures[i]
			m.say("%s: %s", speed.title, f.variant())
			took, grew, err := rotate(ctx, filepath.Join(f.folder(peers[flat](encryptedRegistry)[0]), registryFile), len(f.keys))
			if err != nil {
				return err
			}
			speed.series[i].values = append(speed.series[i].values, took.Seconds()/float64(len(f.keys)))
			heap.series[i].values = append(heap.series[i].values, grew)
		}
	}
	m.results = append(m.results, speed, heap)
	return nil
}

// rotate rotates a registry that nobody else uses, and says what it took and by how many bytes the heap in use grew.
func rotate(ctx context.Context, path string, entries int) (took time.Duration, grew float64, err error) {
	reg, err := registry.OpenEncrypted(ctx, path, benchKEK())
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	runtime.GC()
	peak := sampleHeap()
	began := time.Now()
	report, err := reg.RotateKeyset(ctx)
	took = time.Since(began)
	grew = peak()
	if err == nil && report.Reencrypted != int64(entries) {
		err = fmt.Errorf("the rotation encrypted %d entries anew instead of %d", report.Reencrypted, entries)
	}
	return took, grew, err
}

// sampleHeap looks at the heap in use until the function that it returns is called, which gives its growth at the peak.
func sampleHeap() (grown func() float64) {
	inUse := func() uint64 {
		samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"}}
		metrics.Read(samples)
		return samples[0].Value.Uint64() + samples[1].Value.Uint64()
	}
	before := inUse()
	peak, stop, done := before, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, inUse())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() float64 {
		close(stop)
		<-done
		return float64(peak - before)
	}
}
