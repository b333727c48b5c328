package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errMissed is the end of a run with -check in which a bar was missed.
var errMissed = errors.New("a bar was missed")

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	quick := flags.Bool("quick", false, "run less of everything, in less than a minute")
	rounds := flags.Int("rounds", 0, "`rounds` a job; 0: as the scale has it")
	seed := flags.Uint64("seed", 0, "the `seed` of all that is random; 0: a new one")
	dir := flags.String("dir", "", "the `folder` to make the databases in; they are removed at the end (default: the system's)")
	out := flags.String("out", "", "the `folder` to write results.md and the plots to (default: nowhere)")
	only := flags.String("only", "", "the `parts` to run, with commas between them: "+strings.Join(partNames(), ", "))
	check := flags.Bool("check", false, "fail if a bar is missed")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil
	case err != nil:
		return err
	case flags.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	s := fullScale()
	if *quick {
		s = quickScale()
	}
	if *rounds > 0 {
		s.rounds = *rounds
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	chosen, err := chooseParts(*only)
	if err != nil {
		return err
	}
	fmt.Fprintf(stderr, "seed %d\n", *seed)
	return bench(ctx, s, *seed, chosen, *dir, *out, *check, stdout, stderr)
}

// bench runs the parts in a folder that is gone afterwards, and reports.
func bench(ctx context.Context, s scale, seed uint64, parts []part, dir, out string, check bool, stdout, progress io.Writer) (err error) {
	dir, err = os.MkdirTemp(dir, "stateregistry-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	m := newMeter(s, seed, dir, progress)
	machine, err := thisMachine(ctx, dir)
	if err != nil {
		return err
	}
	for _, p := range parts {
		if err := p.run(ctx, m); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	r := report{machine: machine, scale: s, seed: seed, results: m.results, bars: bars(m.results)}
	if err := r.print(stdout); err != nil {
		return err
	}
	if out != "" {
		if err := r.write(out); err != nil {
			return err
		}
	}
	if check && slices.ContainsFunc(r.bars, func(b bar) bool { return !b.met }) {
		return errMissed
	}
	return nil
}

// part is a set of jobs that share their databases.
type part struct {
	name string
	run  func(context.Context, *meter) error
}

func allParts() []part {
	return []part{
		{"small", smallValues}, {"slices", valuesWithSlices}, {"medium", mediumValues}, {"large", largeValues},
		{"growth", growth}, {"watch", watch},
	}
}

func partNames() []string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.name)
	}
	return names
}

// chooseParts are the parts that are named in list, or all.
func chooseParts(list string) ([]part, error) {
	if list == "" {
		return allParts(), nil
	}
	var chosen []part
	for name := range strings.SplitSeq(list, ",") {
		i := slices.Index(partNames(), name)
		if i < 0 {
			return nil, fmt.Errorf("-only: there is no part %q", name)
		}
		chosen = append(chosen, allParts()[i])
	}
	return chosen, nil
}
