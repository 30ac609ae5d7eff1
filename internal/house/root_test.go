package house

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	maxRootFiles = 8
	maxRootLines = 1000
)

// leafImports are packages of work that leaves do: the root that imports one of them
// holds logic that belongs to a leaf.
var leafImports = []string{
	"reflect", "encoding/json", "net/url", "regexp",
	"github.com/aws/aws-sdk-go-v2/service/sqs/types",
	"go.opentelemetry.io/otel", "go.opentelemetry.io/otel/attribute",
}

// TestRootComposes holds the package at the top to what it is for: the order of start
// and stop, and one line onto each leaf.
func TestRootComposes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(top, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	files = slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })
	lines := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		lines += strings.Count(string(text), "\n")
		parsed, err := parser.ParseFile(token.NewFileSet(), file, text, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, spec := range parsed.Imports {
			if name, err := strconv.Unquote(spec.Path.Value); err != nil || slices.Contains(leafImports, name) {
				t.Errorf("%s imports %s: the work that needs it belongs to a leaf", filepath.Base(file), spec.Path.Value)
			}
		}
	}
	if len(files) > maxRootFiles {
		t.Errorf("%d production files in the root, at most %d: %v", len(files), maxRootFiles, files)
	}
	if lines > maxRootLines {
		t.Errorf("%d production lines in the root, at most %d", lines, maxRootLines)
	}
}
