package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/oxide-k/stateregistry/registry"
)

func heading(out io.Writer, text string) { fmt.Fprintf(out, "\n== %s\n", text) }

func showModules(ctx context.Context, r registry.Reader, out io.Writer) error {
	modules, err := r.ListModules(ctx)
	if err != nil {
		return err
	}
	table := newTable(out, "ID", "NAME", "VERSION", "KIND", "STATE", "REVISION")
	for _, m := range modules {
		table.row(m.ID, m.Name, m.Version, m.Kind, m.State, m.Revision)
	}
	return table.flush()
}

func showConfig(ctx context.Context, r registry.Reader, out io.Writer) error {
	entries, err := r.ListConfig(ctx, "")
	if err != nil {
		return err
	}
	table := newTable(out, "KEY", "REVISION", "VALUE")
	for _, entry := range entries {
		value := json.RawMessage("(hidden)")
		if !looksSecret(entry.Key) {
			if err := entry.Decode(&value); err != nil {
				return err
			}
		}
		table.row(entry.Key, entry.Revision, string(value))
	}
	return table.flush()
}

func showChanges(ctx context.Context, r registry.Reader, count int, out io.Writer) error {
	revision, err := r.Revision(ctx)
	if err != nil {
		return err
	}
	changes, err := r.Changes(ctx, max(revision-int64(count), 0), count)
	if err != nil {
		return err
	}
	table := newTable(out, "REVISION", "AT", "OP", "SUBJECT", "KEY")
	for _, c := range changes {
		table.row(c.Revision, c.At.Format("15:04:05.000"), c.Op, c.Subject, c.Key)
	}
	return table.flush()
}

// showRefusal prints the error that a step is there to show. Any other outcome ends the demo.
func showRefusal(out io.Writer, err, want error) error {
	if !errors.Is(err, want) {
		return errors.Join(errors.New("a call was not refused as it should have been"), err)
	}
	fmt.Fprintf(out, "refused, as it should be: %v\n", err)
	return nil
}

// looksSecret goes by the name: what is printed stays in terminals and logs.
func looksSecret(key string) bool {
	key = strings.NewReplacer("_", "", "-", "", ".", "").Replace(strings.ToLower(key))
	return slices.ContainsFunc(
		[]string{"token", "secret", "password", "passphrase", "apikey", "privatekey", "credential"},
		func(word string) bool { return strings.Contains(key, word) })
}

// table aligns columns.
type table struct{ w *tabwriter.Writer }

func newTable(out io.Writer, columns ...any) table {
	t := table{tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)}
	t.row(columns...)
	return t
}

func (t table) row(cells ...any) {
	for i, cell := range cells {
		if i > 0 {
			fmt.Fprint(t.w, "\t")
		}
		fmt.Fprint(t.w, cell)
	}
	fmt.Fprintln(t.w)
}

func (t table) flush() error { return t.w.Flush() }
