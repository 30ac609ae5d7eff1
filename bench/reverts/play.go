package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// outcome is what the seeds of a world have come to.
type outcome struct {
	invariant string // empty: nothing was found
	what      string
	played    int // seeds, up to the one that failed
	took      time.Duration
}

// ended is what finds a fault that ends the whole process: no storm outlives that.
const ended = "the end of the process"

// try plays the world of a fault with the fault put back.
func (c command) try(tmp string, f fault) (outcome, error) {
	bin, err := c.build(tmp, &f)
	if err != nil {
		return outcome{}, err
	}
	found, err := c.play(bin, f.world, c.seeds)
	for n := 1; found.invariant == ended && err == nil; n *= 2 {
		// Which seed it was is not known: the fewest of the powers of two that do it.
		fewer, err := c.play(bin, f.world, n)
		if err != nil || fewer.invariant == ended {
			fewer.played = n
			return fewer, err
		}
	}
	return found, err
}

// build compiles the storm's tests, with a fault if f is not nil.
func (c command) build(tmp string, f *fault) (bin string, err error) {
	root, err := filepath.Abs(c.root)
	if err != nil {
		return "", err
	}
	replace := map[string]string{}
	if f != nil {
		folder := filepath.Join(tmp, f.name)
		if err := patched(root, folder, *f); err != nil {
			return "", err
		}
		for _, path := range f.paths {
			replace[filepath.Join(root, path)] = filepath.Join(folder, path)
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay, bin := filepath.Join(tmp, "overlay.json"), filepath.Join(tmp, "storm.test")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		return "", err
	}
	build := exec.Command("go", "test", "-c", "-vet=off", "-ldflags", "-s -w", "-overlay", overlay, "-o", bin,
		"./chassistest")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("it does not compile: %w\n%s", err, out)
	}
	return bin, nil
}

// patched puts the files that a fault changes into a folder, with the change.
func patched(root, folder string, f fault) error {
	for _, path := range f.paths {
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return fmt.Errorf("the patch changes a file that is not there: %w", err)
		}
		to := filepath.Join(folder, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o600); err != nil {
			return err
		}
	}
	apply := exec.Command("git", "apply", f.file)
	apply.Dir = folder
	// No repository around the folder is to be found.
	apply.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(folder), "GIT_DIR=")
	if out, err := apply.CombinedOutput(); err != nil {
		return fmt.Errorf("its patch does not apply any more; make a new one: %w\n%s", err, out)
	}
	return nil
}

// playTime is how long one world is played at most.
const playTime = 30 * time.Minute

// play plays seeds of a world.
func (c command) play(bin, world string, seeds int) (outcome, error) {
	began := time.Now()
	test := exec.Command(bin, "-test.run", "^TestStormSearch$", "-test.v", "-test.timeout", playTime.String())
	test.Dir = filepath.Join(c.root, "chassistest")
	test.Env = append(os.Environ(), "STORM_WORLD="+world, "STORM_SEEDS="+strconv.Itoa(seeds))
	text, err := test.CombinedOutput()
	found, ok := read(string(text))
	found.took = time.Since(began)
	if ok {
		return found, nil
	}
	if what, ok := crash(string(text)); ok {
		return outcome{invariant: ended, what: what, played: seeds, took: time.Since(began)}, nil
	}
	if err == nil {
		err = errors.New("no line says what was found")
	}
	return found, fmt.Errorf("the world %s: %w\n%s", world, err, tail(string(text)))
}

// read finds the line of the test's answer: "storm:", the number of seeds, the
// invariant, and what was found, with tabs between.
func read(text string) (outcome, bool) {
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSpace(line), "\t")
		if len(fields) != 4 || !strings.HasSuffix(fields[0], "storm:") {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			return outcome{}, false
		}
		return outcome{played: n, invariant: strings.TrimSuffix(fields[2], "-"), what: fields[3]}, true
	}
	return outcome{}, false
}

// crash finds the line of a panic that has ended the process, unless it was the time-out of
// the test.
func crash(text string) (string, bool) {
	for line := range strings.Lines(text) {
		if what, ok := strings.CutPrefix(line, "panic: "); ok && !strings.HasPrefix(what, "test timed out") {
			return strings.TrimSpace(what), true
		}
	}
	return "", false
}

func tail(text string) string {
	if most := 4000; len(text) > most {
		return text[:most/2] + "\n…\n" + text[len(text)-most/2:]
	}
	return text
}
