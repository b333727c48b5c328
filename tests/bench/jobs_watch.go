package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

// The sides of the watch.
const (
	writerSide  = "the write itself"
	sameSide    = "a watch of the same Registry"
	anotherSide = "a watch of another Registry"
)

// arrival is a change in a watcher's hands.
type arrival struct {
	revision int64
	at       time.Time
	err      error
}

// watch writes to a registry that is watched through itself and through another one, as another process would.
func watch(ctx context.Context, m *meter) (err error) {
	r := result{
		id: "watch", title: "From the call of a durable write to its change in a watcher's hands", unit: milliseconds("change"),
		note:   "A Registry asks the file for others' changes 40 times a second. The writes come at random moments.",
		series: []series{{name: writerSide}, {name: sameSide, reference: writerSide}, {name: anotherSide, reference: writerSide}},
	}
	m.say("%s", r.title)
	dir, err := os.MkdirTemp(m.dir, "")
	if err != nil {
		return err
	}
	path := filepath.Join(dir, registryFile)
	reg, err := registry.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, reg.Close()) }()
	other, err := registry.Open(ctx, path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, other.Close()) }()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	arrivals := []<-chan arrival{watched(ctx, reg), watched(ctx, other)}
	key, value := "bench/watched", newFlat(smallSize)
	for n := range m.scale.watched {
		select {
		case <-time.After(time.Duration(m.random.Int64N(int64(50 * time.Millisecond)))):
		case <-ctx.Done():
			return ctx.Err()
		}
		began := time.Now()
		revision, err := reg.SetConfig(ctx, key, value(uint64(n)))
		took := []time.Duration{time.Since(began)}
		if err != nil {
			return err
		}
		for _, from := range arrivals {
			a := <-from // the zero one where ctx ended the watch
			if err := errors.Join(a.err, ctx.Err()); err != nil {
				return err
			}
			if a.revision != revision {
				return fmt.Errorf("revision %d came where %d was to come", a.revision, revision)
			}
			took = append(took, a.at.Sub(began))
		}
		for i := range r.series {
			r.series[i].values = append(r.series[i].values, took[i].Seconds())
		}
	}
	m.results = append(m.results, r)
	return nil
}

// watched is what a watch of the registry from now on gives. It ends with ctx.
func watched(ctx context.Context, reg *registry.Registry) <-chan arrival {
	arrivals := make(chan arrival, 1)
	changes := reg.Watch(ctx, registry.FromNow)
	go func() {
		defer close(arrivals)
		for change, err := range changes {
			select {
			case arrivals <- arrival{change.Revision, time.Now(), err}:
			case <-ctx.Done():
			}
		}
	}()
	return arrivals
}
