package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// writePage writes the table, and the curves into the folder images next to it.
func writePage(path string, lasted time.Duration, samples []sample, trends []trend, lines []string) error {
	images := filepath.Join(filepath.Dir(path), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	if err := plotAll(filepath.Join(images, "soak.svg"), samples); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Soak\n\nMade by `make soak`: %v of mixed work in one process, on %d cores of %s/%s with %s. Tasks succeed, fail, panic, hang, are snoozed, postponed, abandoned and given up. Two remote services behind breakers have a bad spell every %v. Settings change, sometimes to wrong ones. The log goes to a pipe, and its reader stalls now and then. A monitor, a probe and a browser ask the admin server. The queue is durable.\n\n",
		lasted.Round(time.Second), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), cycle)
	fmt.Fprintf(&b, "The slope is fitted over the second half (the median of the slopes between all pairs of %d samples). A rise of less than %.0f %% of the median, or of less than the floor of its quantity, counts as flat.\n\n", len(samples)-len(samples)/2, share*100)
	b.WriteString("| | first | median of the second half | last | most | slope an hour | rise in the second half | allowed | |\n|---|---:|---:|---:|---:|---:|---:|---:|---|\n")
	for i, t := range trends {
		word := "flat"
		if !t.flat {
			word = "**grows**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %+.3g | %+.3g | %.3g | %s |\n", t.name, t.figure(t.first), t.figure(t.median), t.figure(t.last), t.figure(most(samples, i)), t.slope, t.rise, t.allowed, word)
	}
	b.WriteString("\n```\n" + strings.Join(lines, "\n") + "\n```\n\n![the curves](images/soak.svg)\n")
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// plotAll draws a tile for each quantity.
func plotAll(file string, samples []sample) error {
	const columns = 2
	rows := (len(quantities) + columns - 1) / columns
	tiles := make([][]*plot.Plot, rows)
	for i, q := range quantities {
		p := plot.New()
		p.Title.Text, p.X.Label.Text = q.name, "minutes"
		if q.unit != "" {
			p.Y.Label.Text = q.unit
		}
		points := make(plotter.XYs, len(samples))
		for k, s := range samples {
			points[k].X, points[k].Y = s.at.Minutes(), s.figures[i]/q.scale
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return err
		}
		p.Add(plotter.NewGrid(), line)
		p.Y.Min, p.Y.Max = 0, max(p.Y.Max*1.1, 1)
		tiles[i/columns] = append(tiles[i/columns], p)
	}
	canvas := vgsvg.New(8*vg.Inch, vg.Length(rows)*2.2*vg.Inch)
	area := draw.New(canvas)
	for y, line := range plot.Align(tiles, draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Points(12), PadY: vg.Points(12)}, area) {
		for x, c := range line {
			tiles[y][x].Draw(c)
		}
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	if _, err := canvas.WriteTo(f); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
