package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestEachPatchApplies: the patches follow the code, and each says what it is.
func TestEachPatchApplies(t *testing.T) {
	faults, err := readFaults("patches")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults {
		t.Run(f.name, func(t *testing.T) {
			if f.reach != "" && len(f.paths) == 0 {
				t.Skip("out of reach: ", f.reach)
			}
			if err := patched(root, filepath.Join(t.TempDir(), f.name), f); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestParse(t *testing.T) {
	const head = "was: it was lost\nfixed: abc\nworld: small\nfinds: not lost, one end\n"
	const diff = "\ndiff --git a/x.go b/x.go\n--- a/x.go\n+++ b/x.go\n@@ -1 +1 @@\n-a\n+b\n"
	rows := map[string]struct{ text, want string }{
		"whole":           {head + diff, ""},
		"no diff":         {head, "a diff"},
		"no world":        {strings.Replace(head, "world: small\n", "", 1) + diff, "world"},
		"out of reach":    {"was: it was lost\nreach: no clock of a wall\n", ""},
		"an unknown line": {"who: me\n" + head + diff, "who: me"},
		"says nothing":    {strings.Replace(head, "was: it was lost\n", "", 1) + diff, "no line was"},
	}
	for name, row := range rows {
		_, err := parse("x", row.text)
		if text := errorText(err); row.want == "" && err != nil || !strings.Contains(text, row.want) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
	f, _ := parse("x", head+diff)
	if len(f.finds) != 2 || f.finds[1] != "one end" || len(f.paths) != 1 || f.paths[0] != "x.go" {
		t.Errorf("%+v", f)
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestRead(t *testing.T) {
	found, ok := read("=== RUN\n    worlds_test.go:62: storm:\t23\tone end\tone end: pack#1: twice\n--- PASS\n")
	if !ok || found.played != 23 || found.invariant != "one end" || found.what != "one end: pack#1: twice" {
		t.Errorf("%+v, %v", found, ok)
	}
	if found, ok := read("    worlds_test.go:62: storm:\t300\t-\t-:\n"); !ok || found.played != 300 || found.invariant != "" {
		t.Errorf("%+v, %v", found, ok)
	}
	if _, ok := read("panic: test timed out"); ok {
		t.Error("read from nothing")
	}
	if what, ok := crash("x\npanic: runtime error [recovered]\n"); !ok || what != "runtime error [recovered]" {
		t.Errorf("%q, %v", what, ok)
	}
	if _, ok := crash("panic: test timed out after 1s\n"); ok {
		t.Error("a time-out is no crash")
	}
}
