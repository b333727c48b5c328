package main

import (
	"fmt"
	"strings"
)

// markdown writes the page that shows the results.
func (r report) markdown(page *strings.Builder, plots []plotted) {
	m, s := r.machine, r.scale
	fmt.Fprintf(page, "# Results of the benchmarks\n\n")
	fmt.Fprintf(page, "Made by `make bench`; what is measured, and how, is in [README.md](README.md). Never edited by hand.\n\n")
	fmt.Fprintf(page, "| | |\n| --- | --- |\n")
	for _, row := range [][2]string{
		{"day", m.day.Format("2006-01-02")},
		{"processor", fmt.Sprintf("%s, %d cores", m.cpu, m.cores)},
		{"system", m.system},
		{"file system", m.fileSystem},
		{"Go", m.goVersion},
		{"SQLite", fmt.Sprintf("%s in mattn/go-sqlite3, %s in modernc.org/sqlite", m.mattnSQLite, m.moderncSQLite)},
		{"modules", strings.Join(m.modules, ", ")},
		{"rounds", fmt.Sprintf("%d, of %s or %s for each side, seed %d", s.rounds, s.slice, s.writeSlice, r.seed)},
	} {
		fmt.Fprintf(page, "| %s | %s |\n", row[0], row[1])
	}
	r.barTable(page)
	r.summary(page)
	if len(plots) > 0 {
		fmt.Fprintf(page, "\n## Plots\n")
		for _, p := range plots {
			fmt.Fprintf(page, "\n![%s](%s)\n", p.title, p.file)
		}
	}
	fmt.Fprintf(page, "\n## Every job\n\n")
	fmt.Fprintf(page, "The ratio is the median of the rounds' ratios, so it is not quite the ratio of the medians.\n")
	for _, res := range r.results {
		res.table(page)
	}
}

func (r report) barTable(page *strings.Builder) {
	fmt.Fprintf(page, "\n## Bars\n\nWhat the registry must reach; the rest of the page is what it was measured by.\n\n")
	fmt.Fprintf(page, "| bar | required | measured | met |\n| --- | --- | --- | --- |\n")
	for _, b := range r.bars {
		fmt.Fprintf(page, "| %s | %s | %s | %s |\n", b.promise, b.required(), b.number(b.value), yesNo(b.met))
	}
}

// summary is one row for each job that all peers do, and one column for each peer.
func (r report) summary(page *strings.Builder) {
	columns := peers[flat]()
	fmt.Fprintf(page, "\n## Summary\n\nMedians.\n\n| job |")
	for _, p := range columns {
		fmt.Fprintf(page, " %s |", p.name)
	}
	fmt.Fprintf(page, "\n| --- |%s\n", strings.Repeat(" --- |", len(columns)))
	for _, res := range r.results {
		if len(res.values(handWritten)) == 0 || len(res.values(gormPeer)) == 0 {
			continue
		}
		fmt.Fprintf(page, "| %s, %s |", res.title, res.unit)
		for _, p := range columns {
			if values := res.values(p.name); len(values) > 0 {
				fmt.Fprintf(page, " %s |", number3(res.unit.show(median(values))))
			} else {
				fmt.Fprintf(page, " |")
			}
		}
		fmt.Fprintln(page)
	}
}

// table is a job's, with all that its rounds gave.
func (r result) table(page *strings.Builder) {
	fmt.Fprintf(page, "\n### %s\n\n", r.title)
	if r.note != "" {
		fmt.Fprintf(page, "%s\n\n", r.note)
	}
	fmt.Fprintf(page, "| | %s | middle half | all | ratio | to |\n| --- | --- | --- | --- | --- | --- |\n", r.unit)
	for _, s := range r.series {
		ratio, reference := r.compared(s)
		fmt.Fprintf(page, "| %s | %s | %s | %s | %s | %s |\n", s.label(), number3(r.unit.show(median(s.values))),
			r.between(s.values, 0.25, 0.75), r.between(s.values, 0, 1), ratio, reference)
	}
}

// between is a range of values, the smaller first as it is shown.
func (r result) between(values []float64, low, high float64) string {
	from, to := r.unit.show(quantile(values, low)), r.unit.show(quantile(values, high))
	return number3(min(from, to)) + " – " + number3(max(from, to))
}
