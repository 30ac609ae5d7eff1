// Peers measures the chassis side by side with what a user would take instead.
//
//	go run ./peers                        # everything, writes ../docs/benchmarks.md
//	go run ./peers -only breaker,logger   # some areas, prints only
//
// Each area is a package of benchmarks next to this one. Its test binary is
// built once and run several rounds; within a round every implementation has
// its turn, so that a slow minute of the machine hits all alike. Of the rounds
// the median counts. For each promise there is one line:
//
//	RATIO <area>/<case> ours=<x> peer=<name> peer=<y> ratio=<r> want=<w> ok|short
//
// A ratio above 1 is in our favour. What cannot be had here (a peer that needs
// a program that is not installed) is a line with "absent" in place of figures.
// It exits with 1 if a benchmark fails, not for a promise that is short.
package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/perf/benchfmt"

	"github.com/sambatech/chassis/bench/internal/area"
)

func main() {
	only := flag.String("only", "", "areas, separated by commas; default all")
	rounds := flag.Int("rounds", 5, "rounds of every area")
	profiles := flag.Bool("profiles", true, "take profiles of ours after the rounds and put them on the page")
	out := flag.String("o", "", "write the page to this file; default ../docs/benchmarks.md if all areas are run")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *only, *rounds, *profiles, *out); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, only string, rounds int, profiles bool, out string) error {
	chosen, err := choose(only)
	if err != nil {
		return err
	}
	if out == "" && only == "" {
		out = filepath.Join("..", "docs", "benchmarks.md")
	}
	dir, err := os.MkdirTemp("", "peers")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	begun := time.Now()
	all := results{}
	for _, a := range chosen {
		if err := build(ctx, a, dir); err != nil {
			return err
		}
	}
	for n := range rounds {
		for _, a := range chosen {
			fmt.Printf("# round %d of %d: %s (%v)\n", n+1, rounds, a.Name, time.Since(begun).Round(time.Second))
			if err := round(ctx, a, dir, all); err != nil {
				return err
			}
		}
	}
	var lines []string
	for _, w := range wants {
		if slices.ContainsFunc(chosen, func(a area.Area) bool { return a.Name == w.area }) {
			lines = append(lines, w.line(all))
			fmt.Println(lines[len(lines)-1])
		}
	}
	var tops []top
	for _, a := range chosen {
		if !profiles {
			break
		}
		t, err := profile(ctx, a, dir)
		if err != nil {
			return err
		}
		fmt.Print(t)
		tops = append(tops, t)
	}
	fmt.Printf("took %v\n", time.Since(begun).Round(time.Second))
	if out == "" {
		return nil
	}
	return writePage(out, page{results: all, lines: lines, tops: tops, rounds: rounds, took: time.Since(begun)})
}

func choose(only string) ([]area.Area, error) {
	if only == "" {
		return area.All, nil
	}
	var chosen []area.Area
	for name := range strings.SplitSeq(only, ",") {
		i := slices.IndexFunc(area.All, func(a area.Area) bool { return a.Name == strings.TrimSpace(name) })
		if i < 0 {
			return nil, fmt.Errorf("there is no area %q; there are %s", name, names())
		}
		chosen = append(chosen, area.All[i])
	}
	return chosen, nil
}

func names() string {
	var all []string
	for _, a := range area.All {
		all = append(all, a.Name)
	}
	return strings.Join(all, ", ")
}

func binary(a area.Area, dir string) string { return filepath.Join(dir, a.Name+".test") }

func build(ctx context.Context, a area.Area, dir string) error {
	out, err := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary(a, dir), "./"+a.Name).CombinedOutput()
	if err != nil {
		return fmt.Errorf("build %s: %w\n%s", a.Name, err, out)
	}
	return nil
}

// round takes one round of the area into all.
func round(ctx context.Context, a area.Area, dir string, all results) error {
	program, err := filepath.Abs(binary(a, dir))
	if err != nil {
		return err
	}
	for _, r := range a.Runs {
		cmd := exec.CommandContext(ctx, program, "-test.run=^$", "-test.bench="+r.Bench, "-test.benchmem", "-test.benchtime="+r.Time, "-test.timeout=10m")
		cmd.Dir = a.Name
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("%s: %w\n%s%s", a.Name, err, &stdout, &stderr)
		}
		if err := all.read(a.Name, &stdout); err != nil {
			return err
		}
	}
	return nil
}

// key names one measured thing.
type key struct{ area, bench, impl, unit string }

// results are the figures of every round.
type results map[key][]float64

func (r results) read(area string, text *bytes.Buffer) error {
	reader := benchfmt.NewReader(text, area)
	for reader.Scan() {
		res, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue
		}
		name := strings.TrimPrefix(string(res.Name.Full()), "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > strings.LastIndexByte(name, '/') {
			name = name[:i] // GOMAXPROCS
		}
		bench, impl := name, ""
		if i := strings.LastIndexByte(name, '/'); i >= 0 {
			bench, impl = name[:i], name[i+1:]
		}
		for _, v := range res.Values {
			value, unit := v.Value, v.Unit
			if v.OrigUnit != "" {
				value, unit = v.OrigValue, v.OrigUnit
			}
			k := key{area, bench, impl, unit}
			r[k] = append(r[k], value)
		}
	}
	return reader.Err()
}

func (r results) median(k key) (float64, error) {
	figures := slices.Clone(r[k])
	if len(figures) == 0 {
		return 0, errors.New("absent")
	}
	slices.Sort(figures)
	if n := len(figures); n%2 == 0 {
		return (figures[n/2-1] + figures[n/2]) / 2, nil
	}
	return figures[len(figures)/2], nil
}

// line compares the medians, or our median with a plain limit.
func (w want) line(all results) string {
	name := w.area + "/" + w.bench
	ours, err := all.median(key{w.area, w.bench, w.ours, w.unit})
	if err != nil {
		return fmt.Sprintf("RATIO %s %s is absent (%s)", name, w.ours, w.unit)
	}
	if w.ours != "ours" {
		name += "/" + w.ours
	}
	if w.unit != "ns/op" {
		name += "/" + strings.ReplaceAll(w.unit, "/", "-per-")
	}
	less := !strings.HasSuffix(w.unit, "/s")
	if w.peer == "" {
		ratio := ours / w.want
		if less {
			ratio = w.want / ours
		}
		if w.want == 0 { // nothing is allowed
			ratio = map[bool]float64{true: 1}[ours == 0]
		}
		return fmt.Sprintf("RATIO %s ours=%s peer=limit peer=%s ratio=%.2f want=1.00 %s", name, figure(ours), figure(w.want), ratio, judge(ratio, 1))
	}
	peer, err := all.median(key{w.area, w.bench, w.peer, w.unit})
	if err != nil {
		return fmt.Sprintf("RATIO %s ours=%s peer=%s absent", name, figure(ours), w.peer)
	}
	ratio := ours / peer
	if less {
		ratio = peer / ours
	}
	return fmt.Sprintf("RATIO %s ours=%s peer=%s peer=%s ratio=%.2f want=%.2f %s", name, figure(ours), w.peer, figure(peer), ratio, w.want, judge(ratio, w.want))
}

func judge(ratio, want float64) string {
	if ratio >= want {
		return "ok"
	}
	return "short"
}

func figure(v float64) string {
	switch {
	case v >= 1000:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// sorted is every key of the results, ours first within a benchmark.
func (r results) sorted() []key {
	keys := make([]key, 0, len(r))
	for k := range r {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b key) int {
		return cmp.Or(
			slices.IndexFunc(area.All, func(x area.Area) bool { return x.Name == a.area })-slices.IndexFunc(area.All, func(x area.Area) bool { return x.Name == b.area }),
			strings.Compare(a.bench, b.bench), strings.Compare(rank(a.impl), rank(b.impl)), strings.Compare(a.unit, b.unit))
	})
	return keys
}

func rank(impl string) string {
	if strings.HasPrefix(impl, "ours") {
		return "\x00" + impl
	}
	return impl
}
