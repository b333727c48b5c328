package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

// report is all that a run found.
type report struct {
	machine machine
	scale   scale
	seed    uint64
	results results
	bars    []bar
}

// print writes the medians and ratios for a terminal.
func (r report) print(to io.Writer) error {
	for _, res := range r.results {
		fmt.Fprintf(to, "\n%s, %s\n", res.title, res.unit)
		w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
		for _, s := range res.series {
			ratio, reference := res.compared(s)
			fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.label(), number3(res.unit.show(median(s.values))), ratio, reference)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	fmt.Fprintln(to, "\nBars")
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	for _, b := range r.bars {
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", b.promise, b.required(), b.number(b.value), yesNo(b.met))
	}
	return w.Flush()
}

// compared are a series' ratio to its reference, and that one's name, or dashes.
func (r result) compared(s series) (string, string) {
	to := r.values(s.reference)
	if s.reference == s.label() || len(to) == 0 {
		return "–", "–"
	}
	if r.unit.inverse { // more is better: so is a ratio above one
		return number3(ratio(to, s.values)) + " ×", s.reference
	}
	return number3(ratio(s.values, to)) + " ×", s.reference
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// write makes the folder's results.md and the plots.
func (r report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	plots, err := r.plot(dir)
	if err != nil {
		return err
	}
	var page strings.Builder
	r.markdown(&page, plots)
	return os.WriteFile(filepath.Join(dir, "results.md"), []byte(page.String()), 0o644)
}
