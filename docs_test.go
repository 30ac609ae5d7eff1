package chassis_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestEveryGoBlockOfTheDocsCompiles builds each block of Go in the README and
// in docs/, which is a whole file, so that it can be copied and works.
func TestEveryGoBlockOfTheDocsCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := map[string]string{}
	var packages []string
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for i, block := range goBlock.FindAllStringSubmatch(string(text), -1) {
			name := fmt.Sprintf("%s_%d", strings.TrimSuffix(filepath.Base(page), ".md"), i+1)
			file := filepath.Join(t.TempDir(), "main.go")
			if err := os.WriteFile(file, []byte(block[1]), 0o600); err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(block[1], "package ") {
				t.Errorf("%s: block %d does not begin with a package clause", page, i+1)
				continue
			}
			dir := filepath.Join("examples", "docs_"+strings.ToLower(name))
			overlay[filepath.Join(here, dir, "main.go")] = file
			packages = append(packages, "./"+dir)
		}
	}
	if len(packages) == 0 {
		t.Fatal("no block of Go found: this test no longer sees the pages")
	}
	mapping, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	overlayFile := filepath.Join(t.TempDir(), "overlay.json")
	if err := os.WriteFile(overlayFile, mapping, 0o600); err != nil {
		t.Fatal(err)
	}
	// list -export compiles as a build does, and links no programs.
	args := append([]string{"list", "-export", "-f", "{{.Name}}", "-overlay", overlayFile}, packages...)
	out, err := exec.CommandContext(t.Context(), "go", args...).CombinedOutput()
	if err != nil {
		t.Errorf("go list -export: %v\n%s", err, out)
	}
}
