package chassis_test

import (
	"bytes"
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"go.uber.org/goleak"

	"github.com/sambatech/chassis"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// greeting is what the tasks of a mailer carry.
type greeting struct {
	To string `json:"to"`
}

// newSystem makes a system on an embedded queue in memory, with its log in a
// buffer, that is stopped at the end of the test.
func newSystem(t *testing.T, change func(*chassis.Settings)) (*chassis.System, *bytes.Buffer) {
	t.Helper()
	s := chassis.DefaultSettings()
	if change != nil {
		change(&s)
	}
	log := &bytes.Buffer{}
	sys, err := chassis.New("mailer", chassis.WithSettings(s), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger(),
		chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() || testing.Verbose() {
			t.Logf("the log:\n%s", log)
		}
	})
	return sys, log
}

// declaredTests returns the tests, benchmarks and fuzz targets of the module and of
// the modules within it, by the folder of their package: actors/poller.TestLeaseEnds.
// Those of the root are chassis.TestX. The invariants of every storm are among them, by
// the names of their constants: chassistest.NotLost.
func declaredTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(file, "_test.go") && filepath.ToSlash(file) != "chassistest/invariants.go":
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(filepath.Dir(file))
		if folder == "." {
			folder = "chassis"
		}
		for _, decl := range parsed.Decls {
			f, ok := decl.(*ast.FuncDecl)
			switch {
			case ok && isTest(f):
				tests[folder+"."+f.Name.Name] = true
			case ok && f.Name.Name == "Invariants" && folder == "chassistest":
				for n := range ast.Preorder(f.Body) {
					if name, ok := n.(*ast.Ident); ok && name.IsExported() {
						tests[folder+"."+name.Name] = true
					}
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}

// isTest reports whether go test runs f.
func isTest(f *ast.FuncDecl) bool {
	if f.Recv != nil || f.Type.Params.NumFields() != 1 {
		return false
	}
	pointer, ok := f.Type.Params.List[0].Type.(*ast.StarExpr)
	if !ok {
		return false
	}
	of, ok := pointer.X.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	for prefix, param := range map[string]string{"Test": "T", "Benchmark": "B", "Fuzz": "F"} {
		if strings.HasPrefix(f.Name.Name, prefix) {
			return of.Sel.Name == param
		}
	}
	return false
}
