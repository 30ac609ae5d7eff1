package chassis_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?ms)^```go\n(.*?)^```$")

// TestEveryGoBlockOfTheDocsCompiles checks each block of Go in the README and in docs/, which
// is a whole file, so that it can be copied and works. The checker of the compiler reads them
// in this process, on what the go command has compiled of their imports: a process of the
// compiler for each block took most of this package's time.
func TestEveryGoBlockOfTheDocsCompiles(t *testing.T) {
	if testing.Short() {
		t.Skip("runs the go command")
	}
	pages, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	set := token.NewFileSet()
	var blocks []*ast.File
	imports := map[string]bool{}
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, at := range goBlock.FindAllSubmatchIndex(text, -1) {
			line := strings.Count(string(text[:at[2]]), "\n")
			// The lines before the block are empty, so that a position is that of the page.
			file, err := parser.ParseFile(set, page, strings.Repeat("\n", line)+string(text[at[2]:at[3]]), parser.AllErrors)
			if err != nil {
				t.Error(err)
				continue
			}
			blocks = append(blocks, file)
			for _, i := range file.Imports {
				path, _ := strconv.Unquote(i.Path.Value)
				imports[path] = true
			}
		}
	}
	if len(blocks) == 0 {
		t.Fatal("no block of Go found: this test no longer sees the pages")
	}
	compiled := exported(t, slices.Sorted(maps.Keys(imports)))
	for _, block := range blocks {
		config := types.Config{Importer: compiled, Sizes: types.SizesFor("gc", runtime.GOARCH), Error: func(err error) { t.Error(err) }}
		pkg, _ := config.Check("main", set, []*ast.File{block}, nil)
		if pkg.Name() == "main" && pkg.Scope().Lookup("main") == nil {
			t.Errorf("%v: a program without a main", set.Position(block.Package))
		}
	}
}

// exported returns the packages as the go command compiles them for a program of this module.
func exported(t *testing.T, paths []string) types.Importer {
	t.Helper()
	// list -export compiles as a build does, and links no programs.
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Export"}, paths...)...)
	var said strings.Builder
	list.Stderr = &said
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list -export: %v\n%s", err, said.String())
	}
	files := map[string]string{}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ ImportPath, Export string }
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		files[p.ImportPath] = p.Export
	}
	return importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		file := files[path]
		if file == "" {
			return nil, fmt.Errorf("go list knows no %s", path)
		}
		return os.Open(file)
	})
}
