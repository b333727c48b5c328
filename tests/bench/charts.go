package main

import (
	"image/color"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

type point struct{ x, y float64 }

// line is one side's points.
type line struct {
	name   string
	points []point
}

func newPlot(title string) *plot.Plot {
	p := plot.New()
	p.Title.Text = title
	p.Title.Padding = vg.Points(8)
	// Drawn by the library, a rectangle of its own, so that the plot reads on a dark page too.
	p.BackgroundColor = color.White
	return p
}

// barChart is a bar for each side's median, the first on top. Nil where there is nothing to show.
func barChart(r result) (*plot.Plot, error) {
	if len(r.series) == 0 {
		return nil, nil
	}
	p := newPlot(r.title)
	p.X.Label.Text = r.unit.String()
	p.X.Min = 0
	var names []string
	labels := plotter.XYLabels{}
	for i, s := range slices.Backward(r.series) {
		value, at := r.unit.show(median(s.values)), float64(len(names))
		bar, err := plotter.NewBarChart(plotter.Values{value}, vg.Points(14))
		if err != nil {
			return nil, err
		}
		bar.Horizontal, bar.XMin, bar.Color = true, at, colorOf(s.name, i)
		bar.LineStyle.Width = 0
		p.Add(bar)
		names = append(names, s.name)
		labels.XYs = append(labels.XYs, plotter.XY{X: value, Y: at})
		labels.Labels = append(labels.Labels, " "+number3(value))
	}
	values, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range values.TextStyle {
		values.TextStyle[i].YAlign = draw.YCenter
	}
	p.Add(values)
	p.NominalY(names...)
	return p, nil
}

// lineChart has logarithmic scales, with a tick at each of xs. Nil where there is nothing to show.
func lineChart(title, xLabel, yLabel string, xs []int, lines []line) (*plot.Plot, error) {
	if len(lines) == 0 {
		return nil, nil
	}
	p := newPlot(title)
	p.X.Label.Text, p.Y.Label.Text = xLabel, yLabel
	p.X.Scale, p.Y.Scale = plot.LogScale{}, plot.LogScale{}
	p.Y.Tick.Marker = plot.LogTicks{Prec: -1}
	var ticks plot.ConstantTicks
	for _, x := range xs {
		ticks = append(ticks, plot.Tick{Value: float64(x), Label: grouped(x)})
	}
	p.X.Tick.Marker = ticks
	p.Add(plotter.NewGrid())
	for i, l := range lines {
		points := make(plotter.XYs, len(l.points))
		for j, at := range l.points {
			points[j] = plotter.XY{X: at.x, Y: at.y}
		}
		drawn, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		drawn.Color, drawn.Width = colorOf(l.name, i), vg.Points(1.5)
		if strings.Contains(l.name, "encrypted") {
			drawn.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		dots.Color, dots.Shape = drawn.Color, draw.CircleGlyph{}
		p.Add(drawn, dots)
		p.Legend.Add(l.name, drawn, dots)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	return p, nil
}

// colorOf is a side's: blue for the registry, which the eye should find, others for the others.
func colorOf(name string, i int) color.Color {
	if strings.HasPrefix(name, plainRegistry) {
		return color.RGBA{R: 0x1f, G: 0x5f, B: 0xbf, A: 0xff}
	}
	others := []color.RGBA{
		{R: 0x55, G: 0x55, B: 0x55, A: 0xff}, {R: 0x99, G: 0x99, B: 0x99, A: 0xff}, {R: 0x8c, G: 0x6d, B: 0x31, A: 0xff},
		{R: 0xc4, G: 0x4e, B: 0x52, A: 0xff}, {R: 0xdd, G: 0x84, B: 0x52, A: 0xff}, {R: 0x55, G: 0xa8, B: 0x68, A: 0xff},
	}
	return others[i%len(others)]
}
