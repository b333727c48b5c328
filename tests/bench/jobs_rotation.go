package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/metrics"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// rotated is an encrypted registry to rotate.
type rotated struct {
	path    string
	entries int
}

func (r rotated) variant() string { return grouped(r.entries) + " entries" }

// rotations rotates registries in turns, and watches the heap. What else is on the heap should be small: the collector lets
// it grow in proportion to that.
func rotations(ctx context.Context, m *meter, registries ...rotated) error {
	speed := result{
		id: "rotation", title: "Rotation of the keyset, every entry of 64 B encrypted anew",
		unit: unit{name: "entries", of: "second", size: 1, inverse: true},
	}
	heap := result{
		id: "rotation/heap", title: "Growth of the heap in use during a rotation, at its peak",
		unit: unit{name: "MiB", size: 1 << 20},
		note: "Of Go's heap, sampled every millisecond. SQLite's page cache is not in it.",
	}
	first := label(encryptedRegistry, registries[0].variant())
	for _, reg := range registries {
		for _, r := range []*result{&speed, &heap} {
			r.series = append(r.series, series{name: encryptedRegistry, variant: reg.variant(), reference: first})
		}
	}
	for range m.scale.rotations {
		for _, i := range m.random.Perm(len(registries)) {
			reg := registries[i]
			m.say("%s: %s", speed.title, reg.variant())
			took, grew, err := reg.rotate(ctx)
			if err != nil {
				return err
			}
			speed.series[i].values = append(speed.series[i].values, took.Seconds()/float64(reg.entries))
			heap.series[i].values = append(heap.series[i].values, grew)
		}
	}
	m.results = append(m.results, speed, heap)
	return nil
}

// rotate says what a rotation took, and by how many bytes the heap in use grew. Nobody else has the registry open.
func (r rotated) rotate(ctx context.Context) (took time.Duration, grew float64, err error) {
	reg, err := registry.OpenEncrypted(ctx, r.path, benchKEK())
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
	if err == nil && report.Reencrypted != int64(r.entries) {
		err = fmt.Errorf("the rotation encrypted %d entries anew instead of %d", report.Reencrypted, r.entries)
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
