package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/oxide-k/stateregistry/registry"
)

// restore loses an entry of the registry at path, and puts the backup in its place.
func restore(ctx context.Context, path, backup string, out io.Writer) error {
	heading(out, "An accident, and the backup")
	reg, err := registry.Open(ctx, path)
	if err != nil {
		return err
	}
	_, err = reg.DeleteConfig(ctx, "max_threads")
	before, failed := reg.Revision(ctx)
	if err := errors.Join(err, failed); err != nil {
		return errors.Join(err, reg.Close())
	}
	fmt.Fprintf(out, "max_threads was deleted, revision %d\n", before)
	_, err = registry.Restore(ctx, backup, path)
	if err := showRefusal(out, err, registry.ErrBusy); err != nil {
		return errors.Join(err, reg.Close())
	}
	if err := reg.Close(); err != nil {
		return err
	}
	report, err := registry.Restore(ctx, backup, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "restored: %d config entries; the old file is %s\n", report.Config, filepath.Base(report.Kept))
	if reg, err = registry.Open(ctx, path); err != nil {
		return err
	}
	threads, err := registry.Get[int](ctx, reg, "max_threads")
	if err != nil {
		return errors.Join(err, reg.Close())
	}
	fmt.Fprintf(out, "max_threads is %d again, and revisions go on at %d\n", threads, report.Revision)
	_, err = reg.Changes(ctx, before, 10)
	return errors.Join(showRefusal(out, err, registry.ErrCompacted), reg.Close())
}
