// Compare holds our benchmarks against those of another commit, by benchstat.
//
//	go run ./compare                       # against the last tag, or HEAD~1 without a tag
//	go run ./compare -ref v0.3.0 -only main,breaker
//
// The other commit is checked out into a git worktree of its own, which is
// removed in the end. What is compared is what is committed and what is not:
// the working tree as it stands. Both are built first; then they have their
// turn one after the other in every round, so that a slow minute of the
// machine hits both. What only one of them has is shown by benchstat alone.
package main

import (
	"bytes"
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
	"syscall"
	"time"

	"github.com/sambatech/chassis/bench/internal/area"
)

// own stands for the benchmarks next to the code, in the main module.
const own = "main"

func main() {
	ref := flag.String("ref", "", "commit or tag to compare with; default the last tag, or HEAD~1 without a tag")
	rounds := flag.Int("rounds", 6, "rounds; benchstat needs at least six to separate a difference from noise")
	only := flag.String("only", "", "areas, separated by commas: main (the benchmarks next to the code) and those of bench; default all")
	length := flag.String("time", "200ms", "-benchtime of the benchmarks next to the code")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *ref, *rounds, *only, *length); err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, ref string, rounds int, only, length string) (err error) {
	here, err := git(ctx, "rev-parse", "--show-toplevel")
	if err != nil {
		return err
	}
	if ref == "" {
		if ref, err = git(ctx, "describe", "--tags", "--abbrev=0"); err != nil {
			ref = "HEAD~1"
			fmt.Println("# there is no tag: comparing with HEAD~1; give another commit with -ref (make bench-compare REF=...)")
		}
	}
	commit, err := git(ctx, "rev-parse", "--verify", "--quiet", ref+"^{commit}")
	if err != nil {
		return fmt.Errorf("%q names no commit here (is the history shallow?): %w", ref, err)
	}
	dir, err := os.MkdirTemp("", "compare")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	there := filepath.Join(dir, "tree")
	if _, err := git(ctx, "worktree", "add", "--detach", there, commit); err != nil {
		return err
	}
	defer func() {
		_, gone := git(context.WithoutCancel(ctx), "worktree", "remove", "--force", there)
		err = errors.Join(err, gone)
	}()
	sides := []*side{{name: "old", tree: there, dir: filepath.Join(dir, "old")}, {name: "new", tree: here, dir: filepath.Join(dir, "new")}}
	for _, s := range sides {
		fmt.Printf("# building %s\n", s.name)
		if err := s.build(ctx, only, length); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	fmt.Printf("# old is %s (%.12s), new is this tree; %d rounds\n", ref, commit, rounds)
	begun := time.Now()
	for n := range rounds {
		for _, s := range sides {
			fmt.Printf("# round %d of %d: %s (%v)\n", n+1, rounds, s.name, time.Since(begun).Round(time.Second))
			if err := s.round(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
		slices.Reverse(sides) // neither is always the first
	}
	var files []string
	for _, name := range []string{"old", "new"} {
		files = append(files, name+"="+filepath.Join(dir, name, "figures"))
	}
	stat := exec.CommandContext(ctx, "go", append([]string{"tool", "benchstat"}, files...)...)
	stat.Dir = filepath.Join(here, "bench")
	stat.Stdout, stat.Stderr = os.Stdout, os.Stderr
	return stat.Run()
}

// side is one of the two trees.
type side struct {
	name, tree, dir string
	calls           []call
}

// call is one call of a test binary.
type call struct{ binary, pkg, bench, time string }

// build compiles the test binaries and says which calls make a round.
func (s *side) build(ctx context.Context, only, length string) error {
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return err
	}
	wanted := func(name string) bool { return only == "" || slices.Contains(strings.Split(only, ","), name) }
	if wanted(own) {
		packages, err := withBenchmarks(ctx, s.tree)
		if err != nil {
			return err
		}
		for _, p := range packages {
			binary := filepath.Join(s.dir, strings.ReplaceAll(p, "/", "_")+".test")
			if err := compile(ctx, s.tree, binary, "./"+p); err != nil {
				return err
			}
			s.calls = append(s.calls, call{binary, filepath.Join(s.tree, p), ".", length})
		}
	}
	for _, a := range area.All {
		pkg := filepath.Join(s.tree, "bench", a.Name)
		if _, err := os.Stat(pkg); !wanted(a.Name) || err != nil {
			continue // not asked for, or from before there was one
		}
		binary := filepath.Join(s.dir, "bench_"+a.Name+".test")
		if err := compile(ctx, filepath.Join(s.tree, "bench"), binary, "./"+a.Name); err != nil {
			return err
		}
		for _, r := range a.Runs {
			s.calls = append(s.calls, call{binary, pkg, r.Ours, r.Time})
		}
	}
	if len(s.calls) == 0 {
		return fmt.Errorf("there is no benchmark in %q", only)
	}
	return nil
}

// withBenchmarks lists the folders of the main module that have some.
func withBenchmarks(ctx context.Context, tree string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", tree, "grep", "-lE", "^func Benchmark", "--", "*_test.go", ":!bench", ":!e2e").Output()
	if err != nil {
		return nil, fmt.Errorf("git grep: %w", err)
	}
	var packages []string
	for _, file := range strings.Fields(string(out)) {
		packages = append(packages, filepath.Dir(file))
	}
	return slices.Compact(packages), nil
}

func compile(ctx context.Context, dir, binary, pkg string) error {
	cmd := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", pkg, err, out)
	}
	return nil
}

// round appends one round to the figures.
func (s *side) round(ctx context.Context) error {
	figures, err := os.OpenFile(filepath.Join(s.dir, "figures"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	for _, c := range s.calls {
		cmd := exec.CommandContext(ctx, c.binary, "-test.run=^$", "-test.bench="+c.bench, "-test.benchmem", "-test.benchtime="+c.time, "-test.timeout=10m")
		cmd.Dir = c.pkg
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil {
			return errors.Join(fmt.Errorf("%s: %w\n%s", c.pkg, err, &out), figures.Close())
		}
		if _, err := figures.Write(out.Bytes()); err != nil {
			return errors.Join(err, figures.Close())
		}
	}
	return figures.Close()
}

func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", args...).Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, exit.Stderr)
		}
		return "", err
	}
	return strings.TrimSpace(string(out)), nil
}
