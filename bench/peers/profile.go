package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sambatech/chassis/bench/internal/area"
)

// top is what stands at the top of an area's profiles.
type top struct {
	area, bench string
	cpu, allocs string // tables of pprof
}

// lines are how many of a profile are shown.
const lines = 8

// profile runs our benchmark of an area, with the two profiles apart: an exact
// profile of allocations would be on top of that of the CPU.
func profile(ctx context.Context, a area.Area, dir string) (top, error) {
	t := top{area: a.Name, bench: strings.NewReplacer("^", "", "$", "", "Benchmark", "").Replace(a.Profiled.Ours)}
	program, err := filepath.Abs(binary(a, dir))
	if err != nil {
		return t, err
	}
	take := func(into *string, kind string, flags ...string) error {
		file := filepath.Join(dir, a.Name+"."+kind)
		cmd := exec.CommandContext(ctx, program, "-test.run=^$", "-test.bench="+a.Profiled.Ours, "-test.benchtime="+a.Profiled.Time,
			"-test.timeout=5m", "-test."+kind+"profile="+file)
		cmd.Dir = a.Name
		out, err := cmd.CombinedOutput()
		if err == nil && !strings.Contains(string(out), "ns/op") {
			err = fmt.Errorf("there is no benchmark %s", a.Profiled.Ours)
		}
		if err != nil {
			return fmt.Errorf("profile of %s: %w\n%s", a.Name, err, out)
		}
		text, err := exec.CommandContext(ctx, "go", append(append([]string{"tool", "pprof", "-top", fmt.Sprintf("-nodecount=%d", lines)}, flags...), program, file)...).Output()
		if err != nil {
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				err = fmt.Errorf("%w\n%s", err, exit.Stderr)
			}
			return fmt.Errorf("pprof of %s: %w", a.Name, err)
		}
		*into = table(string(text))
		return nil
	}
	if err := take(&t.cpu, "cpu"); err != nil {
		return t, err
	}
	return t, take(&t.allocs, "mem", "-sample_index=alloc_space")
}

// table leaves out pprof's head, which describes this machine and this minute.
func table(text string) string {
	if i := strings.Index(text, "      flat  flat%"); i >= 0 {
		text = text[i:]
	}
	return strings.TrimRight(text, "\n")
}

func (t top) String() string {
	return fmt.Sprintf("### %s: %s\n\nCPU:\n\n```\n%s\n```\n\nAllocated:\n\n```\n%s\n```\n", t.area, t.bench, t.cpu, t.allocs)
}
