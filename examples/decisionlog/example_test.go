package decisionlog_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"

	"github.com/oxide-k/stateregistry/examples/decisionlog"
	"github.com/oxide-k/stateregistry/registry"
)

func Example() {
	ctx := context.Background()
	reg, err := registry.Open(ctx, registry.InMemory, registry.WithMigrations(decisionlog.Set, decisionlog.Migrations))
	check(err)
	defer reg.Close()
	mirror := registry.ModuleMetadata{ID: "oxide-mirror", Name: "Oxide Mirror", Version: "0.3.0", Kind: registry.KindNative}
	_, err = reg.UpsertModule(ctx, mirror, registry.StateRunning)
	check(err)

	// The decision and what it changed are committed together, or not at all.
	err = reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		_, err := decisionlog.Log(ctx, tx, decisionlog.Decision{
			ID: "6f1c1ab8-6d3e-4b57-9c1a-0d8f2b7e4a51", Actor: "oxide-mirror", Action: "stop",
			Rationale: "it missed three heartbeats", Inputs: json.RawMessage(`{"missed": 3}`), Confidence: 0.9,
		})
		if err != nil {
			return err
		}
		_, err = tx.SetModuleState(ctx, "oxide-mirror", registry.StateStopping)
		return err
	})
	check(err)

	newest, err := decisionlog.RecentWithModules(ctx, reg.ReadDB(), 10)
	check(err)
	for _, d := range newest {
		fmt.Printf("%s: %s, since %s, from %s; it is %s now\n", d.ModuleName, d.Action, d.Rationale, d.Inputs, d.ModuleState)
	}
	changes, err := reg.Changes(ctx, 0, 10)
	check(err)
	for _, c := range changes {
		fmt.Println(c.Revision, c.Op, c.Subject, c.Key)
	}
	// Output:
	// Oxide Mirror: stop, since it missed three heartbeats, from {"missed":3}; it is stopping now
	// 1 put module oxide-mirror
	// 2 put decisions 6f1c1ab8-6d3e-4b57-9c1a-0d8f2b7e4a51
	// 3 put module oxide-mirror
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
