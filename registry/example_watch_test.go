package registry_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/oxide-k/stateregistry/registry"
)

// What a subsystem can be told, in one place.
var (
	fetchWorkers = registry.Setting[int]{Name: "fetch.workers", Default: 4, Validate: atLeast(1)}
	fetchAgent   = registry.Setting[string]{Name: "fetch.agent", Default: "oxide/1.0"}
	fetchLimits  = registry.Setting[fetchLimit]{Name: "fetch.limits", Default: fetchLimit{PerHost: 2, Bytes: 1 << 20}}
)

type fetchLimit struct {
	PerHost int   `json:"per_host"`
	Bytes   int64 `json:"bytes"`
}

func atLeast(least int) func(int) error {
	return func(n int) error {
		if n < least {
			return fmt.Errorf("it must be at least %d", least)
		}
		return nil
	}
}

func ExampleSetting() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, registry.InMemory)
	check(err)
	defer reg.Close()

	workers, err := fetchWorkers.Get(ctx, reg) // nobody set it
	check(err)
	fmt.Println(workers)

	_, err = fetchWorkers.Set(ctx, reg, 16)
	check(err)
	_, err = fetchWorkers.Set(ctx, reg, 0)
	fmt.Println(errors.Is(err, registry.ErrInvalid))

	limits, err := fetchLimits.Modify(ctx, reg, func(l fetchLimit) (fetchLimit, error) {
		l.PerHost *= 2
		return l, nil
	})
	check(err)
	fmt.Printf("%+v\n", limits)
	// Output:
	// 4
	// true
	// {PerHost:4 Bytes:1048576}
}

// The value as it is, and then whatever it becomes.
func ExampleSetting_Watch() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reg, err := registry.Open(ctx, registry.InMemory)
	check(err)
	defer reg.Close()

	for agent, err := range fetchAgent.Watch(ctx, reg) {
		check(err)
		fmt.Println(agent)
		if agent == "oxide/2.0" {
			cancel() // the loop then ends; so would break
			continue
		}
		_, err = fetchAgent.Set(ctx, reg, "oxide/2.0") // anybody may, in any process
		check(err)
	}
	// Output:
	// oxide/1.0
	// oxide/2.0
}

// List, and then follow what changes: nothing is missed, and nothing comes twice.
func ExampleRegistry_Watch() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, registry.InMemory)
	check(err)
	defer reg.Close()
	echo := registry.ModuleMetadata{ID: "echo", Name: "Echo", Version: "0.1.0", Kind: registry.KindWasm}
	_, err = reg.UpsertModule(ctx, echo, registry.StateLoaded)
	check(err)

	var seen int64
	err = reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		modules, err := tx.ListModules(ctx)
		if err != nil {
			return err
		}
		for _, m := range modules {
			fmt.Println(m.ID, "is", m.State)
		}
		seen, err = tx.Revision(ctx)
		return err
	})
	check(err)

	go func() {
		_, err := reg.TransitionModule(ctx, "echo", registry.StateLoaded, registry.StateStarting)
		check(err)
		_, err = reg.DeleteModule(ctx, "echo")
		check(err)
	}()
	for change, err := range reg.Watch(ctx, seen, registry.InSubject(registry.SubjectModule)) {
		check(err)
		fmt.Println(change.Revision, change.Op, change.Key)
		if change.Op == registry.OpDelete {
			break
		}
	}
	// Output:
	// echo is loaded
	// 2 put echo
	// 3 delete echo
}
