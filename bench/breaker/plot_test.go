package breaker

import (
	"image/color"
	"os"
	"testing"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// plotted is the line of one client: a value for each step of time.
type plotted struct {
	name   string
	values []float64
}

var plotColors = []color.RGBA{{150, 150, 150, 255}, {40, 110, 190, 255}, {200, 60, 50, 255}, {60, 150, 70, 255}, {150, 90, 180, 255}}

// draw writes lines as docs/images/file.svg, with CHASSIS_SCALE=full alone: the pictures of the pages
// are those of one run of all.
func draw(t *testing.T, file, title, y string, step time.Duration, most float64, lines []plotted, also ...plotted) {
	t.Helper()
	if os.Getenv("CHASSIS_SCALE") != "full" {
		return
	}
	c := plot.New()
	c.Title.Text, c.X.Label.Text, c.Y.Label.Text = title, "seconds", y
	c.Add(plotter.NewGrid())
	add := func(p plotted, with color.RGBA, dashed bool) {
		points := make(plotter.XYs, len(p.values))
		for i, v := range p.values {
			points[i] = plotter.XY{X: (time.Duration(i+1) * step).Seconds(), Y: v}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			t.Fatal(err)
		}
		if line.Color, line.Width = with, vg.Points(1.5); dashed {
			line.Dashes = []vg.Length{vg.Points(3), vg.Points(3)}
		}
		c.Add(line)
		c.Legend.Add(p.name, line)
	}
	for _, p := range also {
		add(p, color.RGBA{A: 255}, true)
	}
	for i, p := range lines {
		add(p, plotColors[i%len(plotColors)], false)
	}
	c.Legend.Top = true
	c.Y.Min, c.Y.Max = 0, most
	if err := c.Save(7*vg.Inch, 3.5*vg.Inch, "../../docs/images/"+file+".svg"); err != nil {
		t.Error(err)
	}
}
