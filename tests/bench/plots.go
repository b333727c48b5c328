package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// plotted is a plot that was written.
type plotted struct{ title, file string }

// plot writes those plots to the folder whose jobs were run.
func (r report) plot(dir string) ([]plotted, error) {
	var made []plotted
	for _, p := range []struct {
		file string
		draw func() (*plot.Plot, error)
	}{
		{"point-read.svg", func() (*plot.Plot, error) { return barChart(r.results.get("read/64B")) }},
		{"durable-write.svg", r.writers},
		{"list.svg", func() (*plot.Plot, error) { return barChart(r.results.get("list/all")) }},
		{"point-read-by-entries.svg", r.byEntries},
	} {
		drawn, err := p.draw()
		if err != nil {
			return nil, err
		}
		if drawn == nil {
			continue
		}
		if err := save(drawn, filepath.Join(dir, p.file)); err != nil {
			return nil, err
		}
		made = append(made, plotted{drawn.Title.Text, p.file})
	}
	return made, nil
}

// writers is the throughput of durable writes by the number of goroutines that write.
func (r report) writers() (*plot.Plot, error) {
	counts := []int{1, 8, manyWriters}
	var lines []line
	for _, s := range r.results.get("write/64B/1").series {
		l := line{name: s.name}
		for _, n := range counts {
			values := r.results.get("write/64B/" + grouped(n)).values(s.name)
			if len(values) == 0 {
				return nil, nil
			}
			l.points = append(l.points, point{float64(n), 1 / median(values)})
		}
		lines = append(lines, l)
	}
	return lineChart("Durable writes of 64 B by the number of writers", "goroutines that write", "writes per second", counts, lines)
}

// byEntries is the point read by the number of entries.
func (r report) byEntries() (*plot.Plot, error) {
	read := r.results.get("growth/read")
	var lines []line
	for i, s := range read.series {
		entries := r.scale.growth[i*len(r.scale.growth)/len(read.series)] // the sides of one number, then those of the next
		at := slices.IndexFunc(lines, func(l line) bool { return l.name == s.name })
		if at < 0 {
			at = len(lines)
			lines = append(lines, line{name: s.name})
		}
		lines[at].points = append(lines[at].points, point{float64(entries), read.unit.show(median(s.values))})
	}
	return lineChart("Point read of 64 B by the number of entries", "entries", read.unit.String(), r.scale.growth, lines)
}

// save draws with the reader's own fonts, which keeps the file small.
func save(p *plot.Plot, path string) error {
	const width, height = 640, 360
	canvas := vgsvg.NewWith(vgsvg.UseWH(vg.Points(width), vg.Points(height)))
	p.Draw(draw.Crop(draw.New(canvas), 8, -16, 8, -8))
	var drawn bytes.Buffer
	if _, err := canvas.WriteTo(&drawn); err != nil {
		return err
	}
	// The library names the font that it measured with, which few readers have.
	svg := bytes.ReplaceAll(drawn.Bytes(), []byte("font-family:Liberation Sans"), []byte("font-family:Liberation Sans,Arial,sans-serif"))
	return os.WriteFile(path, svg, 0o644)
}
