// Growth measures how the cost of one step grows with how much there is, fits
// the exponent, and draws the curves.
//
//	go run ./growth            # prints, writes ../docs/growth.md and its charts
//
// An exponent of 0 is a step that costs the same however much there is, 1 one
// that costs in proportion. It is the slope of the least-squares line through
// the logarithms of the medians.
package main

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// curve is one question: what does a step cost with n of something?
type curve struct {
	name, of string // of what there are n
	unit     string
	sizes    []int
	cost     func(n int) (float64, error)
	reason   string // why it grows as it does
}

var curves = []curve{
	{"queue: send, receive, delete", "messages on the queue", "ns", []int{1e3, 1e4, 1e5, 1e6}, queueDepth,
		"a map finds a message by its receipt, a queue of visible messages gives the next one, and a heap gives the next deadline. Only the heap costs a logarithm. What grows is the number of cache misses"},
	{"queue: send", "queues", "ns", []int{1, 10, 100, 1000}, manyQueues,
		"a map finds a queue by its name, and queues share only the lock"},
	{"breaker: call on another path", "open paths", "ns", []int{1, 10, 100, 1e3, 1e4, 1e5}, breakerTree,
		"a call follows its own path from the root of the tree, by a map at each level. It does not look at other paths"},
	{"breaker: a path opens or is reset", "open siblings", "ns", []int{1, 10, 100, 1e3, 1e4}, breakerTransition,
		"a transition publishes a new tree. It shares everything with the old one except its own path, and copies the list of siblings on that path, 8 bytes each. That is a constant and about 10 ns a sibling: the fitted exponent lies between 0 and 1, and tends to 1. Calls do not pay for it. A service with 10 000 bad paths side by side pays it at each transition; max_entries (1 000 by default) bounds it"},
	{"dispatcher: task among blocked ones", "blocked executions", "ns", []int{1, 10, 100, 1e3, 1e4, 1e5}, besideBlocked,
		"a blocked execution holds a slot and a lease of an hour, and nothing looks at it. What grows is the garbage collector's share of marking them"},
	{"dispatcher: memory of a blocked task", "blocked executions", "B", []int{1e3, 1e4, 1e5}, blockedMemory,
		"each has a goroutine, an actor, its message and its lease. The share of what exists once falls with n"},
	{"dispatcher: a task that does nothing", "workers", "ns", []int{1, 10, 100, 1e3, 1e4}, manyWorkers,
		"a worker that is free is a number, neither a goroutine nor an actor. With few of them a task waits for the answer to the request before it; from some tens on receives of ten are under way all the time"},
	{"queue: send, receive, delete among tenants", "groups with a message", "ns", []int{1, 10, 100, 1e3, 1e4, 1e5}, manyTenants,
		"the groups of a standard queue stand in a ring and take turns; the next one is at its front"},
	{"schedules: one is registered and started", "schedules", "ns", []int{1, 10, 100, 1e3, 1e4}, manySchedules,
		"with one schedule the start of the service is in the figure, and falls with n. After it a schedule is an entry in a map, and the next tick of all of them is one timer"},
	{"logger: a record", "producers", "ns", []int{1, 2, 4, 8, 16, 32, 64}, producers,
		"each call has an encoder. The ring's lock is held while a record is copied: producers beyond the number of cores wait for their turn, and cost no more"},
}

func main() {
	rounds := flag.Int("rounds", 3, "rounds; medians count")
	only := flag.String("only", "", "part of the name of the curves to measure; then nothing is written")
	out := flag.String("o", filepath.Join("..", "docs", "growth.md"), "page to write")
	flag.Parse()
	if err := run(*rounds, *only, *out); err != nil {
		fmt.Fprintln(os.Stderr, "growth:", err)
		os.Exit(1)
	}
}

func run(rounds int, only, out string) error {
	images := filepath.Join(filepath.Dir(out), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	var page strings.Builder
	page.WriteString("# Growth\n\nMade by `go run ./growth` in `bench`. This page shows how the cost of one step grows with the amount of work. Figures are medians of the rounds, on one machine. An exponent of 0 means that the cost does not grow, 1 that it grows in proportion.\n\n| step | with n | cost at each n | exponent |\n|---|---|---|---:|\n")
	var charts strings.Builder
	measured := 0
	for i, c := range curves {
		if !strings.Contains(c.name, only) {
			continue
		}
		measured++
		begun := time.Now()
		medians := make([]float64, len(c.sizes))
		all := make([][]float64, len(c.sizes))
		for range rounds {
			for k, n := range c.sizes {
				cost, err := c.cost(n)
				if err != nil {
					return fmt.Errorf("%s with %d %s: %w", c.name, n, c.of, err)
				}
				all[k] = append(all[k], cost)
			}
		}
		var points []string
		for k := range all {
			slices.Sort(all[k])
			medians[k] = all[k][len(all[k])/2]
			points = append(points, fmt.Sprintf("%d: %.0f %s", c.sizes[k], medians[k], c.unit))
		}
		e := exponent(c.sizes, medians)
		fmt.Printf("GROWTH %s | %s | %s | exponent %.2f | took %v\n", c.name, c.of, strings.Join(points, ", "), e, time.Since(begun).Round(time.Second))
		if only != "" {
			continue
		}
		fmt.Fprintf(&page, "| %s | %s | %s | %.2f |\n", c.name, c.of, strings.Join(points, "; "), e)
		name := fmt.Sprintf("growth-%d.svg", i+1)
		if err := draw(c, medians, filepath.Join(images, name)); err != nil {
			return err
		}
		fmt.Fprintf(&charts, "![%s](images/%s)\n\n", c.name, name)
	}
	if measured == 0 {
		return fmt.Errorf("no curve has %q in its name", only)
	}
	if only != "" {
		return nil
	}
	page.WriteString("\n## Why\n\n")
	for _, c := range curves {
		fmt.Fprintf(&page, "- **%s**, with n %s: %s.\n", c.name, c.of, c.reason)
	}
	page.WriteString("\n" + charts.String())
	return os.WriteFile(out, []byte(page.String()), 0o644)
}

func exponent(sizes []int, costs []float64) float64 {
	x, y := make([]float64, len(sizes)), make([]float64, len(sizes))
	for i := range sizes {
		x[i], y[i] = math.Log(float64(sizes[i])), math.Log(costs[i])
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	return slope
}

func draw(c curve, costs []float64, file string) error {
	p := plot.New()
	p.Title.Text, p.X.Label.Text, p.Y.Label.Text = c.name, c.of, c.unit
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{}
	p.Y.Min = 0
	points := make(plotter.XYs, len(costs))
	for i := range costs {
		points[i].X, points[i].Y = float64(c.sizes[i]), costs[i]
	}
	line, dots, err := plotter.NewLinePoints(points)
	if err != nil {
		return err
	}
	p.Add(line, dots)
	return p.Save(5*vg.Inch, 3*vg.Inch, file)
}
