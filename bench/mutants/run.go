package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"time"
)

// binary is a core's test binary with all of its mutants.
type binary struct {
	dir     string // of the package
	path    string
	args    []string
	tests   int
	mutants []*mutant
}

// support is the file that is added to the package.
const support = `package %s

import (
	"os"
	"strconv"
)

var mutantInForce, _ = strconv.Atoi(os.Getenv("MUTANT"))

func mutatedBool(id int, was, is func() bool) bool {
	if id == mutantInForce {
		return is()
	}
	return was()
}

func mutatedValue[T any](id int, was, is T) T {
	if id == mutantInForce {
		return is
	}
	return was
}
`

// build compiles the mutants of a core. What the compiler refuses, as a minus
// between two strings, is no mutant.
func build(root, tmp string, c core) (*binary, error) {
	dir, err := filepath.Abs(filepath.Join(root, c.dir))
	if err != nil {
		return nil, err
	}
	b := &binary{dir: dir, path: filepath.Join(tmp, "core.test")}
	sources, next := map[string]string{}, 0
	for _, name := range c.files {
		src, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		sources[name] = string(src)
		found, err := find(name, string(src), c.actor, &next)
		if err != nil {
			return nil, err
		}
		b.mutants = append(b.mutants, found...)
	}
	names, err := testNames(dir, c.tests)
	if err != nil {
		return nil, err
	}
	b.tests = len(names)
	b.args = []string{"-test.run", "^(" + strings.Join(names, "|") + ")$", "-test.failfast", "-test.timeout", "20s"}
	for try := 0; ; try++ {
		refused, err := b.compile(root, tmp, c, sources)
		if err == nil {
			break
		}
		if len(refused) == 0 || try > 20 {
			return nil, err
		}
		kept := b.mutants[:0]
		for _, m := range b.mutants {
			if !refused[m.id] {
				kept = append(kept, m)
			}
		}
		b.mutants = kept
	}
	if _, err := b.test(0, "-rapid.nofailfile", "-rapid.seed=1"); err == nil {
		b.args = append(b.args, "-rapid.nofailfile", "-rapid.seed=1")
	} else if out, err := b.test(0); err != nil {
		return nil, fmt.Errorf("the tests fail without a mutant: %w\n%s", err, out)
	}
	return b, nil
}

var place = regexp.MustCompile(`([\w.]+\.go):(\d+):\d+: (.*)`)

// compile makes the binary, or says which mutants the compiler refuses.
func (b *binary) compile(root, tmp string, c core, sources map[string]string) (refused map[int]bool, err error) {
	overlay := map[string]string{}
	pkg := filepath.Base(c.dir)
	write := func(name, text string) error {
		path := filepath.Join(tmp, name)
		overlay[filepath.Join(b.dir, name)] = path
		return os.WriteFile(path, []byte(text), 0o600)
	}
	for name, src := range sources {
		var own []*mutant
		for _, m := range b.mutants {
			if m.file == name {
				own = append(own, m)
			}
		}
		if err := write(name, apply(src, own)); err != nil {
			return nil, err
		}
	}
	if err := write("mutant_support.go", fmt.Sprintf(support, pkg)); err != nil {
		return nil, err
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		return nil, err
	}
	list := filepath.Join(tmp, "overlay.json")
	if err := os.WriteFile(list, text, 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "test", "-c", "-vet=off", "-gcflags=-e", "-overlay", list, "-o", b.path, "./"+c.dir)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil, nil
	}
	refused = map[int]bool{}
	for _, hit := range place.FindAllStringSubmatch(string(out), -1) {
		line, _ := strconv.Atoi(hit[2])
		for _, m := range b.mutants {
			if m.file != filepath.Base(hit[1]) {
				continue
			}
			if m.line == line && (m.kind == arithmetic || m.kind == literal) {
				refused[m.id] = true
			}
		}
	}
	return refused, fmt.Errorf("go test -c: %w\n%s", err, out)
}

// testNames lists the tests of the files that are there.
func testNames(dir string, files []string) (names []string, err error) {
	for _, name := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, name), nil, parser.SkipObjectResolution)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, d := range parsed.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") && fn.Name.Name != "TestMain" {
				names = append(names, fn.Name.Name)
			}
		}
	}
	if len(names) == 0 {
		names = []string{"none at all"}
	}
	return names, nil
}

// test runs the binary with a mutant in force, 0 for none.
func (b *binary) test(id int, more ...string) (out []byte, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.path, append(b.args[:len(b.args):len(b.args)], more...)...)
	cmd.Dir = b.dir
	cmd.Env = append(os.Environ(), "MUTANT="+strconv.Itoa(id))
	var buf bytes.Buffer
	cmd.Stdout, cmd.Stderr = &buf, &buf
	err = cmd.Run()
	return buf.Bytes(), err
}

// run tries every mutant, and returns those under which all tests pass.
func (b *binary) run() (survived map[int]bool, err error) {
	survived = map[int]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	work := make(chan *mutant)
	for range max(runtime.NumCPU(), 1) {
		wg.Go(func() {
			for m := range work {
				if _, err := b.test(m.id); err == nil {
					mu.Lock()
					survived[m.id] = true
					mu.Unlock()
				}
			}
		})
	}
	for _, m := range b.mutants {
		work <- m
	}
	close(work)
	wg.Wait()
	return survived, nil
}
