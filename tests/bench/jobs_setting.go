package main

import (
	"context"
	"testing"

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

// settings reads some entries as settings.
func settings(f *fixture[flat]) job {
	few := *f
	few.keys = f.keys[:min(fewSettings, len(f.keys))]
	j := job{
		id: "setting", title: "Setting[T].Get of a flat struct of 64 B, one of a hundred", unit: nanoseconds("call"), slice: f.m.scale.slice,
		sides: few.sides(1, func(ctx context.Context, s store[flat], key string, _ uint64) error {
			return getSetting(ctx, s, key)
		}, settingPeers()...),
	}
	for i := range j.sides {
		j.sides[i].reference = plainRegistry
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
