// Command reverts puts the past faults of the chassis back, one at a time, and
// says after how many seeds a storm finds each.
//
//	cd bench && go run ./reverts                     # all
//	cd bench && go run ./reverts -only early,no-room # some
//	cd bench && go run ./reverts -seeds 1000 -v      # more seeds; shows what was found
//
// Each fault is a patch in patches/, with a head that says what it was, the world that
// is played, and the invariant that is to find it. The tree is not touched: the patched
// files are laid over it by the compiler. A patch that does not apply any more is an
// error: make a new one, which puts the fault back where its correction stands today.
//
// Then each world is played without a fault, over the same seeds: it must find nothing.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// command is what the flags say.
type command struct {
	root, folder string
	seeds        int
	verbose      bool
}

func main() {
	var c command
	only := flag.String("only", "", "names of faults, with commas between; all if it is empty")
	flag.IntVar(&c.seeds, "seeds", 300, "seeds that are played at most for each fault")
	flag.BoolVar(&c.verbose, "v", false, "show what was found")
	flag.StringVar(&c.root, "C", "..", "the main module's folder")
	flag.StringVar(&c.folder, "patches", filepath.Join("reverts", "patches"), "the folder of the patches")
	flag.Parse()
	if err := c.run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "reverts:", err)
		os.Exit(1)
	}
}

func (c command) run(only string) error {
	faults, err := readFaults(c.folder)
	if err != nil {
		return err
	}
	if only != "" {
		if faults, err = choose(faults, strings.Split(only, ",")); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp("", "reverts")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	fmt.Printf("%d faults, at most %d seeds each, %d at a time\n\n", len(faults), c.seeds, runtime.GOMAXPROCS(0))
	fmt.Printf("%-28s %-12s %-26s %9s %8s %9s\n", "fault", "world", "found by", "seed", "played", "time")
	var missed, stale []string
	most := map[string]int{} // seeds that were played, by world
	for _, f := range faults {
		if f.reach != "" {
			fmt.Printf("%-28s out of reach: %s\n", f.name, f.reach)
			continue
		}
		found, err := c.try(tmp, f)
		if err != nil { // the others are tried all the same
			fmt.Printf("%-28s cannot be put back: %v\n", f.name, err)
			stale = append(stale, f.name)
			continue
		}
		most[f.world] = max(most[f.world], found.played)
		if !slices.Contains(f.finds, found.invariant) {
			missed = append(missed, f.name)
		}
		c.print(f, found)
	}
	fmt.Println()
	accused, err := c.control(tmp, most)
	if err != nil {
		return err
	}
	switch {
	case len(accused) > 0:
		return fmt.Errorf("the chassis as it is was accused in the worlds %s", strings.Join(accused, ", "))
	case len(stale) > 0:
		return fmt.Errorf("not put back: %s", strings.Join(stale, ", "))
	case len(missed) > 0:
		return fmt.Errorf("not found as they should be: %s", strings.Join(missed, ", "))
	}
	return nil
}

func (c command) print(f fault, found outcome) {
	fmt.Printf("%-28s %-12s %-26s %9s %8d %9v\n", f.name, f.world, cmp.Or(found.invariant, "NOT FOUND"),
		seedText(found), found.played, found.took.Round(100*time.Millisecond))
	if c.verbose {
		fmt.Printf("    it was: %s\n    found:  %s\n", f.was, found.what)
	}
}

func seedText(found outcome) string {
	if found.invariant == "" {
		return "-"
	}
	return fmt.Sprint(found.played)
}

// control plays each world without a fault over as many seeds as it was played with
// one, and returns those in which something was found.
func (c command) control(tmp string, most map[string]int) (accused []string, err error) {
	if len(most) == 0 {
		return nil, nil
	}
	began := time.Now()
	bin, err := c.build(tmp, nil)
	if err != nil {
		return nil, err
	}
	total := 0
	for _, world := range sortedKeys(most) {
		found, err := c.play(bin, world, most[world])
		if err != nil {
			return nil, err
		}
		total += found.played
		if found.invariant != "" {
			accused = append(accused, world)
			fmt.Printf("without a fault, in the world %s: seed %d: %s\n", world, found.played, found.what)
		}
	}
	if len(accused) == 0 {
		fmt.Printf("without a fault: nothing in the same %d worlds, %d seeds in all (%v)\n", len(most), total,
			time.Since(began).Round(100*time.Millisecond))
	}
	return accused, nil
}
