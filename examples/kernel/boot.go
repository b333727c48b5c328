package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/oxide-k/stateregistry/manifest"
	"github.com/oxide-k/stateregistry/registry"
)

// kernel is what the steps of the demo share.
type kernel struct {
	reg       *registry.Registry
	manifests string // the folder of the modules
	backup    string // where the copy goes
	out       io.Writer
}

// boot opens the registry at path, takes all steps, and closes it.
func (k kernel) boot(ctx context.Context, path string) (err error) {
	k.reg, err = registry.Open(ctx, path, append(options(), registry.WithLogger(logger(k.out)))...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, k.reg.Close()) }()
	for _, step := range []func(context.Context) error{
		k.takeOver, k.register, k.live, k.justify,
		func(ctx context.Context) error { return k.follow(ctx, path) },
		k.configure, k.compete, k.show, k.preserve,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// takeOver counts what was there.
func (k kernel) takeOver(ctx context.Context) error {
	modules, err := k.reg.ListModules(ctx)
	if err != nil {
		return err
	}
	entries, err := k.reg.ListConfig(ctx, "")
	if err != nil {
		return err
	}
	revision, err := k.reg.Revision(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.out, "It opened as it is: %d modules and %d config entries, numbered up to revision %d.\n",
		len(modules), len(entries), revision)
	return nil
}

// register adds each module that has a manifest. Nobody sees some of them without the others.
func (k kernel) register(ctx context.Context) error {
	heading(k.out, "Modules from their manifests, in one transaction")
	files, err := filepath.Glob(filepath.Join(k.manifests, "*", manifest.FileName))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("-manifests: no %s in the folders of %q", manifest.FileName, k.manifests), err)
	}
	table := newTable(k.out, "MODULE", "FROM", "CAN DO", "REVISION")
	err = k.reg.Update(ctx, func(ctx context.Context, tx *registry.Tx) error {
		for _, file := range files {
			m, err := manifest.Read(file)
			if err != nil {
				return err
			}
			revision, err := tx.UpsertModule(ctx, m.Metadata(), registry.StateLoaded)
			if err != nil {
				return err
			}
			table.row(m.ID, m.SpecKind, fmt.Sprintf("%d operations", len(m.Operations)), revision)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return table.flush()
}

// petstore is the module whose life is shown.
const petstore = "petstore"

// live walks a module through its first states. Each step demands the state that the kernel believes it is in.
func (k kernel) live(ctx context.Context) error {
	heading(k.out, "The life of a module")
	states := []registry.ModuleState{registry.StateLoaded, registry.StateStarting, registry.StateRunning}
	for i, to := range states[1:] {
		revision, err := k.reg.TransitionModule(ctx, petstore, states[i], to)
		if err != nil {
			return err
		}
		fmt.Fprintf(k.out, "%s: %s -> %s, revision %d\n", petstore, states[i], to, revision)
	}
	fmt.Fprintf(k.out, "from %s it can become %s: %t; %s: %t\n", registry.StateRunning,
		registry.StateLoaded, registry.StateRunning.CanBecome(registry.StateLoaded),
		registry.StateStopping, registry.StateRunning.CanBecome(registry.StateStopping))
	_, err := k.reg.TransitionModule(ctx, petstore, registry.StateLoaded, registry.StateStarting)
	return showRefusal(k.out, err, registry.ErrConflict)
}

type endpoint struct {
	URL     string `json:"url"`
	Retries int    `json:"retries"`
}

// duration is stored as people write it, "1m30s"; a time.Duration would be a number of nanoseconds.
type duration struct{ time.Duration }

func (d duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

func (d *duration) UnmarshalText(text []byte) (err error) {
	d.Duration, err = time.ParseDuration(string(text))
	return err
}

// timeout is one of the kernel's settings: its key, type, default and what is valid, in one place.
var timeout = registry.Setting[duration]{
	Name: "kernel.timeout", Default: duration{90 * time.Second},
	Validate: func(d duration) error {
		if d.Duration <= 0 {
			return errors.New("it must be positive")
		}
		return nil
	},
}

// configure reads what oxide-k left, and writes what it did not know.
func (k kernel) configure(ctx context.Context) error {
	heading(k.out, "Configuration with Go's types")
	tell := func(key string, value any, remark string) {
		fmt.Fprintf(k.out, "%-16s %-14T %v%s\n", key, value, value, remark)
	}
	greeting, err := registry.Get[string](ctx, k.reg, "kernel.greeting")
	if err != nil {
		return err
	}
	tell("kernel.greeting", greeting, "")

	on, err := registry.Get[bool](ctx, k.reg, "on")
	if err != nil {
		return err
	}
	tell("on", on, "")

	threads, err := registry.Modify(ctx, k.reg, "max_threads", func(n int, _ bool) (int, error) { return 2 * n, nil })
	if err != nil {
		return err
	}
	tell("max_threads", threads, ", twice what it was")

	flags, err := registry.Modify(ctx, k.reg, "feature.flags", func(flags []string, _ bool) ([]string, error) {
		return append(flags, "demo"), nil
	})
	if err != nil {
		return err
	}
	tell("feature.flags", flags, ", with one more")

	wait, err := timeout.Get(ctx, k.reg)
	if err != nil {
		return err
	}
	tell(timeout.Name, wait, ", the default: nobody had set it")
	if _, err := timeout.Set(ctx, k.reg, duration{2 * time.Minute}, registry.IfRevision(0)); err != nil {
		return err
	}
	_, err = timeout.Set(ctx, k.reg, duration{-time.Minute})
	return showRefusal(k.out, err, registry.ErrInvalid)
}

// compete writes twice on the ground of one read. The second write would undo the first, and is refused.
func (k kernel) compete(ctx context.Context) error {
	heading(k.out, "Two writers, one wins")
	entry, err := k.reg.GetConfigEntry(ctx, "endpoint")
	if err != nil {
		return err
	}
	var e endpoint
	if err := entry.Decode(&e); err != nil {
		return err
	}
	fmt.Fprintf(k.out, "endpoint is %+v at revision %d\n", e, entry.Revision)
	e.Retries++
	revision, err := k.reg.SetConfig(ctx, "endpoint", e, registry.IfRevision(entry.Revision))
	if err != nil {
		return err
	}
	fmt.Fprintf(k.out, "the first writer gets revision %d\n", revision)
	e.URL = "https://example.org"
	_, err = k.reg.SetConfig(ctx, "endpoint", e, registry.IfRevision(entry.Revision))
	return showRefusal(k.out, err, registry.ErrConflict)
}

// show lists what there is now: three tables of one moment, whatever others write meanwhile.
func (k kernel) show(ctx context.Context) error {
	return k.reg.View(ctx, func(ctx context.Context, tx *registry.Tx) error {
		heading(k.out, "All modules")
		if err := showModules(ctx, tx, k.out); err != nil {
			return err
		}
		heading(k.out, "All configuration")
		if err := showConfig(ctx, tx, k.out); err != nil {
			return err
		}
		heading(k.out, "The last changes")
		return showChanges(ctx, tx, 3, k.out)
	})
}

// preserve makes a copy, and makes sure of both.
func (k kernel) preserve(ctx context.Context) error {
	heading(k.out, "Verify and back up")
	report, err := k.reg.Verify(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.out, "verified: %d modules, %d config entries, %d changes, no damage\n",
		report.Modules, report.Config, report.Changes)
	if err := k.reg.Backup(ctx, k.backup); err != nil {
		return err
	}
	restored, err := registry.Open(ctx, k.backup, registry.WithReadOnly())
	if err != nil {
		return err
	}
	copied, err := restored.Verify(ctx)
	if err = errors.Join(err, restored.Close()); err != nil {
		return err
	}
	info, err := os.Stat(k.backup)
	if err != nil {
		return err
	}
	fmt.Fprintf(k.out, "%s: %d KiB, opens and verifies with %d changes\n", k.backup, info.Size()>>10, copied.Changes)
	return nil
}

// logger prints what the registry reports, without the time.
func logger(out io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(out, &slog.HandlerOptions{
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 && slices.Contains([]string{slog.TimeKey, slog.LevelKey, "path"}, a.Key) {
				return slog.Attr{}
			}
			return a
		},
	}))
}
