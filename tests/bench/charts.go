package main

import (
	"image/color"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
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
	for _, style := range []*text.Style{
		&p.Title.TextStyle, &p.Legend.TextStyle, &p.X.Label.TextStyle, &p.Y.Label.TextStyle, &p.X.Tick.Label, &p.Y.Tick.Label,
	} {
		style.Font.Variant = "Sans"
	}
	// Not transparent, so that the plot reads on a dark page too.
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
	p.X.Tick.Marker = plot.TickerFunc(wholeTicks)
	var names []string
	labels := plotter.XYLabels{}
	for _, s := range slices.Backward(r.series) {
		value, at := r.unit.show(median(s.values)), float64(len(names))
		bar, err := plotter.NewBarChart(plotter.Values{value}, vg.Points(14))
		if err != nil {
			return nil, err
		}
		bar.Horizontal, bar.XMin, bar.Color = true, at, colorOf(s.name)
		bar.LineStyle.Width = 0
		p.Add(bar)
		names = append(names, s.name+"  ")
		labels.XYs = append(labels.XYs, plotter.XY{X: value, Y: at})
		labels.Labels = append(labels.Labels, " "+number3(value))
	}
	values, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, err
	}
	for i := range values.TextStyle {
		values.TextStyle[i].YAlign = draw.YCenter
		values.TextStyle[i].Font.Variant = "Sans"
	}
	p.Add(values)
	p.NominalY(names...)
	p.X.Max *= 1.1 // room for the longest bar's value
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
	p.Y.Tick.Marker = plot.TickerFunc(logTicks)
	var ticks plot.ConstantTicks
	for _, x := range xs {
		ticks = append(ticks, plot.Tick{Value: float64(x), Label: grouped(x)})
	}
	p.X.Tick.Marker = ticks
	p.Add(plotter.NewGrid())
	for _, l := range lines {
		points := make(plotter.XYs, len(l.points))
		for j, at := range l.points {
			points[j] = plotter.XY{X: at.x, Y: at.y}
		}
		drawn, dots, err := plotter.NewLinePoints(points)
		if err != nil {
			return nil, err
		}
		drawn.Color, drawn.Width = colorOf(l.name), vg.Points(1.5)
		if strings.Contains(l.name, "encrypted") {
			drawn.Dashes = []vg.Length{vg.Points(5), vg.Points(3)}
		}
		dots.Color, dots.Shape = drawn.Color, draw.CircleGlyph{}
		p.Add(drawn, dots)
		p.Legend.Add(l.name, drawn, dots)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.Padding = vg.Points(3)
	p.Legend.TextStyle.Font.Size = vg.Points(9)
	p.Y.Max *= 8 // room for the legend above the lines
	return p, nil
}

// wholeTicks are the library's, without zeros behind the point.
func wholeTicks(low, high float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(low, high)
	for i := range ticks {
		if !ticks[i].IsMinor() {
			ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'f', -1, 64)
		}
	}
	return ticks
}

// logTicks are at 1, 2 and 5 of each power of ten.
func logTicks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for decade := math.Pow10(int(math.Floor(math.Log10(low)))); decade <= high; decade *= 10 {
		for _, step := range []float64{1, 2, 5} {
			if value := decade * step; low <= value && value <= high {
				label := strconv.FormatFloat(value, 'f', -1, 64)
				if value >= 1000 {
					label = grouped(int(value))
				}
				ticks = append(ticks, plot.Tick{Value: value, Label: label})
			}
		}
	}
	return ticks
}

// colorOf is a side's, the same in all plots, and the same for plain and encrypted: blue for the registry, which the eye
// should find.
func colorOf(name string) color.Color {
	switch {
	case strings.HasPrefix(name, plainRegistry):
		return color.RGBA{R: 0x1f, G: 0x5f, B: 0xbf, A: 0xff}
	case name == handWrittenModernc:
		return color.RGBA{R: 0x8c, G: 0x6d, B: 0x31, A: 0xff}
	case name == gormPeer:
		return color.RGBA{R: 0xc4, G: 0x4e, B: 0x52, A: 0xff}
	case name == bboltPeer:
		return color.RGBA{R: 0xdd, G: 0x84, B: 0x52, A: 0xff}
	case name == badgerPeer:
		return color.RGBA{R: 0x55, G: 0xa8, B: 0x68, A: 0xff}
	}
	return color.Gray{Y: 0x66}
}
