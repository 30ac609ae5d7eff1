package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// fault is one past fault, as a patch that puts it back.
type fault struct {
	name  string
	file  string   // absolute
	was   string   // what went wrong then
	fixed string   // the commit that corrected it
	world string   // of chassistest's worlds
	finds []string // the invariants by which it is to be found, any of them
	reach string   // why no storm can find it; empty: it is to be found
	paths []string // the files that it changes, from the root of the module
}

// readFaults reads all patches of a folder.
func readFaults(folder string) ([]fault, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.patch"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("no patches in %s: run this command in the folder bench", folder)
	}
	var list []fault
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		f, err := parse(strings.TrimSuffix(filepath.Base(file), ".patch"), string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		if f.file, err = filepath.Abs(file); err != nil {
			return nil, err
		}
		list = append(list, f)
	}
	return list, nil
}

// parse reads a patch: lines of a key and a value, an empty line, and a unified diff.
func parse(name, text string) (fault, error) {
	f := fault{name: name}
	head, diff, _ := strings.Cut(text, "\n\n")
	fields := map[string]*string{"was": &f.was, "fixed": &f.fixed, "world": &f.world, "reach": &f.reach}
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field := fields[key]; {
		case key == "finds":
			f.finds = strings.Split(value, ", ")
		case field == nil || value == "":
			return f, fmt.Errorf("the line %q: want was, fixed, world, finds or reach, and a value", line)
		default:
			*field = value
		}
	}
	for line := range strings.Lines(diff) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "+++ b/"); ok {
			f.paths = append(f.paths, path)
		}
	}
	switch {
	case f.was == "":
		return f, fmt.Errorf("no line was: say what went wrong")
	case f.reach != "":
	case f.fixed == "" || f.world == "" || len(f.finds) == 0 || len(f.paths) == 0:
		return f, fmt.Errorf("want the lines fixed, world and finds, and a diff")
	}
	return f, nil
}

// choose returns the faults of these names.
func choose(faults []fault, names []string) ([]fault, error) {
	var list []fault
	for _, name := range names {
		i := slices.IndexFunc(faults, func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no fault has the name %q: the names are those of the files in patches", name)
		}
		list = append(list, faults[i])
	}
	return list, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
