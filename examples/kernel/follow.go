package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/oxide-k/stateregistry/examples/decisionlog"
	"github.com/oxide-k/stateregistry/registry"
)

// options open the kernel's registry, with the subsystem's tables.
func options() []registry.Option {
	return []registry.Option{
		registry.WithMustExist(), registry.WithMigrations(decisionlog.Set, decisionlog.Migrations),
	}
}

// decide logs a decision and does what was decided, in one transaction.
func decide(ctx context.Context, reg *registry.Registry, id, rationale string, from, to registry.ModuleState) error {
	return reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		d := decisionlog.Decision{
			Actor: id, Action: string(from) + " -> " + string(to), Rationale: rationale, Confidence: 0.9,
			Inputs: json.RawMessage(fmt.Sprintf(`{"process":%d}`, os.Getpid())),
		}
		if _, err := decisionlog.Log(ctx, tx, d); err != nil {
			return err
		}
		_, err := tx.TransitionModule(ctx, id, from, to)
		return err
	})
}

// justify shows that a decision and its effect are there together, or not at all.
func (k kernel) justify(ctx context.Context) error {
	heading(k.out, "A subsystem's decision, and what came of it, in one transaction")
	if err := decide(ctx, k.reg, petstore, "nobody asks it any more", registry.StateRunning, registry.StateStopping); err != nil {
		return err
	}
	logged, err := decisionlog.RecentWithModules(ctx, k.reg.ReadDB(), 1)
	if err != nil {
		return err
	}
	for _, d := range logged {
		fmt.Fprintf(k.out, "%s: %s, since %s; it is %s now\n", d.ModuleName, d.Action, d.Rationale, d.ModuleState)
	}
	err = decide(ctx, k.reg, petstore, "it was idle", registry.StateRunning, registry.StateStopping) // it no longer is running
	if err := showRefusal(k.out, err, registry.ErrConflict); err != nil {
		return err
	}
	n, err := decisionlog.Count(ctx, k.reg.ReadDB())
	if err != nil {
		return err
	}
	fmt.Fprintf(k.out, "decisions in the log: %d; the refused one was undone with what it could not do\n", n)
	return nil
}

// follow watches what this process does, and another one.
func (k kernel) follow(ctx context.Context, path string) error {
	heading(k.out, "A watcher, which is told of each change as it happens")
	fmt.Fprintf(k.out, "This is process %d. It acts, and starts another that does; both change the same file.\n", os.Getpid())
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch := k.reg.Watch(ctx, registry.FromNow)
	acted := make(chan error, 1)
	go func() {
		err := decide(ctx, k.reg, petstore, "it has nothing left to do", registry.StateStopping, registry.StateStopped)
		if err == nil {
			err = actElsewhere(ctx, path)
		}
		if err != nil {
			cancel() // no more changes come
		}
		acted <- err
	}()
	changes := 4 // two of each process: the decision, and the module
	for change, err := range watch {
		if err != nil {
			return err
		}
		if err := k.tell(ctx, change); err != nil {
			return err
		}
		if changes--; changes == 0 {
			break
		}
	}
	return <-acted
}

// tell prints a change, and what can be read of it.
func (k kernel) tell(ctx context.Context, change registry.Change) error {
	what := ""
	switch change.Subject {
	case decisionlog.Subject:
		d, err := decisionlog.Get(ctx, k.reg.ReadDB(), change.Key)
		if err != nil {
			return err
		}
		var by struct {
			Process int `json:"process"`
		}
		if err := json.Unmarshal(d.Inputs, &by); err != nil {
			return err
		}
		what = fmt.Sprintf("%s, by process %d, since %s", d.Action, by.Process, d.Rationale)
	case registry.SubjectModule:
		m, err := k.reg.GetModule(ctx, change.Key)
		if err != nil {
			return err
		}
		what = fmt.Sprintf("%s is %s", m.ID, m.State)
	}
	fmt.Fprintf(k.out, "%d  %-9s  %s (%d ms after it was written)\n",
		change.Revision, change.Subject, what, time.Since(change.At).Milliseconds())
	return nil
}

// actArgument makes this program the other process.
const actArgument = "act"

// actElsewhere runs the other process.
func actElsewhere(ctx context.Context, path string) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, program, actArgument, path)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("the second process: %w: %s", err, out)
	}
	return nil
}

// act is what the other process does, with a registry that the first one has open.
func act(ctx context.Context, path string) error {
	reg, err := registry.Open(ctx, path, options()...)
	if err != nil {
		return err
	}
	defer reg.Close()
	return decide(ctx, reg, petstore, "somebody asks for it again", registry.StateStopped, registry.StateStarting)
}
