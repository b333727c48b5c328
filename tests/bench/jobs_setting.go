package main

import (
	"context"
	"testing"
	"time"

	"github.com/oxide-k/stateregistry/registry"
)

func settingPeers() []string {
	return []string{plainRegistry, encryptedRegistry, cachedRegistry, cachedEncrypted}
}

func getSetting(ctx context.Context, s store[flat], key string) error {
	_, err := registry.Setting[flat]{Name: key}.Get(ctx, s.(registryStore[flat]).Registry)
	return err
}

// fewSettings is how many settings a program reads again and again.
const fewSettings = 100

// settings reads some entries as settings, which a program has as variables.
func settings(f *fixture[flat]) job {
	var few []registry.Setting[flat]
	for _, key := range f.keys[:min(fewSettings, len(f.keys))] {
		few = append(few, registry.Setting[flat]{Name: key})
	}
	j := job{
		id: "setting", title: "Setting[T].Get of a flat struct of 64 B, one of a hundred", unit: nanoseconds("call"), slice: f.m.scale.slice,
	}
	for _, name := range settingPeers() {
		reg := f.stores[name].(registryStore[flat]).Registry
		j.sides = append(j.sides, side{
			name: name, reference: plainRegistry, workers: 1,
			run: func(ctx context.Context, calls int) (time.Duration, error) {
				began := time.Now()
				for i := range calls {
					if _, err := few[i%len(few)].Get(ctx, reg); err != nil {
						return 0, err
					}
				}
				return time.Since(began), nil
			},
		})
	}
	return j
}

// settingAllocations counts what reading a setting allocates.
func settingAllocations(ctx context.Context, f *fixture[flat]) error {
	r := result{
		id: "setting/allocations", title: "Allocations of Setting[T].Get of a flat struct of 64 B",
		unit: unit{name: "allocations", of: "call", size: 1},
	}
	for _, name := range settingPeers() {
		var failure error
		allocations := testing.AllocsPerRun(1000, func() {
			if err := getSetting(ctx, f.stores[name], f.keys[0]); err != nil {
				failure = err
			}
		})
		if failure != nil {
			return failure
		}
		r.series = append(r.series, series{name: name, values: []float64{allocations}})
	}
	f.m.results = append(f.m.results, r)
	return nil
}
