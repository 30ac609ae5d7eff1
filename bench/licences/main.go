// Licences lists under which licences the code stands that a program with
// chassis in it is built from, and refuses those that nobody has agreed to.
//
//	go run ./licences          # writes ../docs/licences.md
//	go run ./licences -diff    # fails if that is not current
//
// It reads the LICENSE files in the module cache, so it needs no network
// beyond what a build needs, and tells them apart by licensecheck, which
// pkg.go.dev uses. It stands in this module to keep that out of the main one.
package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowed are the licences that the project takes: none asks for more than to
// be named, and to pass on a NOTICE if there is one.
var allowed = []string{"MIT", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "0BSD"}

// inTests are allowed beside them in what is linked into tests alone, and so is
// passed on to nobody: MPL-2.0 asks for changes of its own files to be shown.
var inTests = []string{"MPL-2.0"}

// least is the share of a file, in percent, that must be the text of known
// licences. It is that of pkg.go.dev.
const least = 75

// platforms are those whose dependencies are looked at.
var platforms = []string{"linux/amd64", "darwin/arm64", "windows/amd64"}

type module struct {
	Path, Version, Dir string
	Main               bool

	licences []string // SPDX identifiers, sorted
	notice   bool
	shipped  bool // linked into a program that uses the chassis, and not only into its tests
}

func main() {
	diff := flag.Bool("diff", false, "write nothing; fail if the page is not current")
	root := flag.String("root", "..", "folder of the main module")
	out := flag.String("o", filepath.Join("..", "docs", "licences.md"), "page to write")
	flag.Parse()
	if err := run(*root, *out, *diff); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(root, out string, diff bool) error {
	modules := map[string]*module{}
	for _, platform := range platforms {
		for _, tests := range []bool{false, true} {
			if err := list(root, platform, tests, modules); err != nil {
				return err
			}
		}
	}
	var all []*module
	var errs []error
	for _, m := range modules {
		all = append(all, m)
		if len(m.licences) == 0 {
			errs = append(errs, fmt.Errorf("%s %s has no licence in %s", m.Path, m.Version, m.Dir))
		}
		for _, l := range m.licences {
			if !slices.Contains(allowed, l) && (m.shipped || !slices.Contains(inTests, l)) {
				errs = append(errs, fmt.Errorf("%s %s is under %s, which is not allowed (%s are): agree to it in bench/licences/main.go, or take another module", m.Path, m.Version, l, strings.Join(allowed, ", ")))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b *module) int { return strings.Compare(a.Path, b.Path) })
	page := render(all)
	if !diff {
		return os.WriteFile(out, page, 0o644)
	}
	old, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	return compare(out, string(old), string(page))
}

// compare names the lines that only one of the two has.
func compare(name, old, now string) error {
	if old == now {
		return nil
	}
	text := name + " is not current, run make licences"
	a, b := strings.Split(old, "\n"), strings.Split(now, "\n")
	for _, line := range a {
		if !slices.Contains(b, line) {
			text += "\n-" + line
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			text += "\n+" + line
		}
	}
	return errors.New(text)
}

// list adds the modules that the packages of the main module are built from.
func list(root, platform string, tests bool, modules map[string]*module) error {
	system, arch, _ := strings.Cut(platform, "/")
	cmd := exec.Command("go", "list", "-deps", fmt.Sprintf("-test=%v", tests), "-json=ImportPath,Dir,Module,Standard", "./...")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS="+system, "GOARCH="+arch, "CGO_ENABLED=0")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go list for %s: %w\n%s", platform, err, &stderr)
	}
	for packages := json.NewDecoder(bytes.NewReader(text)); ; {
		var p struct {
			ImportPath, Dir string
			Module          *module
			Standard        bool
		}
		if err := packages.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("go list for %s: %w", platform, err)
		}
		if p.Standard || p.Module == nil || p.Module.Main {
			continue
		}
		m := modules[p.Module.Path]
		if m == nil {
			m = p.Module
			modules[m.Path] = m
		}
		m.shipped = m.shipped || !tests
		if err := m.read(p.Dir); err != nil {
			return err
		}
	}
}

var licenceFile = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying)([-.].*)?$`)

// read adds the licences of a package: those in its folder and in the folders
// above it up to the module's.
func (m *module) read(dir string) error {
	if dir == "" { // a test binary
		return nil
	}
	for {
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, f := range files {
			if err := m.look(dir, f); err != nil {
				return err
			}
		}
		if len(dir) <= len(m.Dir) {
			slices.Sort(m.licences)
			m.licences = slices.Compact(m.licences)
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

func (m *module) look(dir string, f fs.DirEntry) error {
	if f.IsDir() {
		return nil
	}
	if strings.EqualFold(strings.TrimSuffix(f.Name(), filepath.Ext(f.Name())), "NOTICE") {
		m.notice = true
	}
	if !licenceFile.MatchString(f.Name()) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, f.Name()))
	if err != nil {
		return err
	}
	m.licences = append(m.licences, classify(text)...)
	return nil
}

// classify names the licences in a text.
func classify(text []byte) []string {
	found := licensecheck.Scan(text)
	var ids []string
	for _, match := range found.Match {
		if !match.IsURL {
			ids = append(ids, match.ID)
		}
	}
	if found.Percent < least || len(ids) == 0 {
		return []string{"an unknown licence"}
	}
	return ids
}

func render(all []*module) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Licences\n\nMade by `make licences`, from the LICENSE files of the modules in `go.mod`'s graph that packages of this module import, on %s. Allowed are %s, and in tests %s; another one fails `make check`. A NOTICE must be passed on with a binary, as the Apache licence says. The benchmarks (`bench`) and the browser tests (`e2e`) are modules of their own, and no part of this.\n",
		strings.Join(platforms, ", "), strings.Join(allowed, ", "), strings.Join(inTests, ", "))
	for _, part := range []struct {
		title   string
		shipped bool
	}{{"In a program that uses the chassis", true}, {"Only in the chassis' own tests", false}} {
		fmt.Fprintf(&b, "\n## %s\n\n| module | version | licences | NOTICE |\n|---|---|---|---|\n", part.title)
		for _, m := range all {
			if m.shipped == part.shipped {
				fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Path, m.Version, strings.Join(m.licences, ", "), cmp.Or(map[bool]string{true: "yes"}[m.notice], ""))
			}
		}
	}
	return b.Bytes()
}
