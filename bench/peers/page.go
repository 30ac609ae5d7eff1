package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// page is docs/benchmarks.md: a summary for people, what people wrote by hand between the
// marks, which is kept, then all figures, the profiles, and the lines for machines.
type page struct {
	results results
	lines   []string
	tops    []top
	rounds  int
	took    time.Duration
}

const (
	mark = "<!-- written by hand from here on -->\n"
	end  = "<!-- written by hand up to here -->\n"
)

func writePage(path string, p page) error {
	hand := "\n"
	if old, err := os.ReadFile(path); err == nil {
		if _, rest, ok := strings.Cut(string(old), mark); ok {
			hand, _, _ = strings.Cut(rest, end)
		}
	}
	images := filepath.Join(filepath.Dir(path), "images")
	if err := os.MkdirAll(images, 0o755); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteString("# Benchmarks\n\nMade by `make peers`. Every figure is the median of the rounds; in each round every implementation has its turn on the same machine. A ratio above 1 is in our favour. Compare figures within a run, not between machines. [growth.md](growth.md) shows how each cost grows with the work, [scale.md](scale.md) what a large fleet asks of SQS, [soak.md](soak.md) an hour of mixed work.\n\n")
	fmt.Fprintf(&b, "Machine: %s, %d cores, %s/%s, %s. %d rounds in %v.\n\n", cpuModel(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, goVersion(), p.rounds, p.took.Round(time.Second))
	b.WriteString(p.summary() + "\n" + mark + hand + end)
	if err := p.figures(&b, images); err != nil {
		return err
	}
	if len(p.tops) > 0 {
		b.WriteString("\n## Profiles of ours\n\nTaken by `go tool pprof -top` after the rounds. [What the profiles say](#what-the-profiles-say) explains them.\n")
	}
	for _, t := range p.tops {
		b.WriteString("\n" + t.String())
	}
	b.WriteString("\n## Lines\n\n```\n" + strings.Join(p.lines, "\n") + "\n```\n")
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// figures writes the table and the chart of each area.
func (p page) figures(b *strings.Builder, images string) error {
	last := ""
	for _, k := range p.results.sorted() {
		if !shown(k.unit) {
			continue
		}
		if head := k.area; head != last {
			last = head
			fmt.Fprintf(b, "\n## %s\n\n", head)
			if name, err := p.chart(k.area, images); err != nil {
				return err
			} else if name != "" {
				fmt.Fprintf(b, "![%s](images/%s)\n\n", k.area, name)
			}
			b.WriteString("| benchmark | implementation | median | unit |\n|---|---|---:|---|\n")
		}
		v, err := p.results.median(k)
		if err != nil {
			return err
		}
		fmt.Fprintf(b, "| %s | %s | %s | %s |\n", k.bench, k.impl, figure(v), k.unit)
	}
	return nil
}

// shown reports whether figures of the unit stand in the tables.
func shown(unit string) bool {
	switch unit {
	case "ns/op", "cpu-ns/op", "allocs/op", "over-10s":
		return true
	}
	return strings.HasSuffix(unit, "/s") || strings.HasPrefix(unit, "p") || strings.HasPrefix(unit, "max")
}

// headline is the benchmark that an area's chart shows.
var headline = map[string]struct{ bench, unit string }{
	"breaker":  {"Success", "ns/op"},
	"logger":   {"Caller", "ns/op"},
	"settings": {"LoadYAML", "ns/op"},
	"queue":    {"ReceiveAndDelete", "msg/s"},
	"tasks":    {"Loopback", "tasks/s"},
	"server":   {"Server", "ns/op"},
	"actors":   {"Ask", "ns/op"},
}

func (p page) chart(area, dir string) (string, error) {
	h, ok := headline[area]
	if !ok {
		return "", nil
	}
	var values plotter.Values
	var labels []string
	for _, k := range p.results.sorted() {
		if k.area != area || k.bench != h.bench || k.unit != h.unit {
			continue
		}
		v, err := p.results.median(k)
		if err != nil {
			return "", err
		}
		values, labels = append(values, v), append(labels, k.impl)
	}
	if len(values) == 0 {
		return "", nil
	}
	c := plot.New()
	c.Title.Text = area + ": " + h.bench
	c.X.Label.Text = h.unit
	bars, err := plotter.NewBarChart(values, vg.Points(14))
	if err != nil {
		return "", err
	}
	bars.Horizontal = true
	c.Add(bars)
	c.NominalY(labels...)
	name := "bench-" + area + ".svg"
	return name, c.Save(6*vg.Inch, vg.Length(len(values))*vg.Points(26)+vg.Inch, filepath.Join(dir, name))
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown processor"
	}
	for line := range strings.SplitSeq(string(info), "\n") {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func goVersion() string {
	out, err := exec.Command("go", "env", "GOVERSION").Output()
	if err != nil {
		return runtime.Version()
	}
	return strings.TrimSpace(string(out))
}
