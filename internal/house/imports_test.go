package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/sambatech/chassis"

// allowed holds the packages of ours that a package may import: the arrows of the
// picture in doc.go. A folder stands for itself and what lies below it. A folder
// that is not named here may import only itself.
var allowed = map[string][]string{
	"":                  {"*"}, // the root composes
	"cmd":               {"*"},
	"examples":          {"*"},
	"chassistest":       {"*"},
	"internal":          {"*"}, // tests of the whole
	"internal/clip":     {},
	"internal/life":     {},
	"internal/random":   {},
	"health":            {"internal/clip"},
	"parts":             {"internal/clip"},
	"settings":          {},
	"server":            {"actors/logger", "internal/clip", "task"},
	"task":              {"internal/clip"},
	"queue":             {"queue/localsqs", "queue/sqsclient", "settings"},
	"queue/localsqs":    {},
	"queue/sqsclient":   {},
	"actors":            {},
	"actors/breaker":    {"actors", "actors/internal/inline", "internal/clip", "settings"},
	"actors/lifecycle":  {"actors", "actors/logger", "internal/clip", "internal/life"},
	"actors/logger":     {"actors", "internal/clip", "internal/life", "task"},
	"actors/poller":     {"actors", "actors/internal/crew", "internal/life", "queue/sqsclient", "task"},
	"actors/shares":     {"actors", "internal/life"},
	"actors/dispatcher": {"actors", "actors/internal/crew", "actors/internal/inline", "internal/life", "actors/poller", "actors/shares", "task"},
	"actors/pools":      {"actors", "actors/dispatcher", "actors/poller", "actors/shares", "internal/life", "internal/random", "queue", "queue/sqsclient", "task"},

	"actors/internal/crew":   {},
	"actors/internal/inline": {},
	"admin": {"actors/breaker", "actors/dispatcher", "actors/lifecycle", "actors/logger", "actors/poller", "actors/pools",
		"health", "internal/clip", "parts", "settings"},
	"admin/console": {"admin", "health", "parts", "actors/breaker", "actors/dispatcher", "actors/lifecycle", "actors/logger", "actors/pools",
		"internal/clip", "internal/life", "settings"},
}

// TestImportsGoOneWay compares the code with that picture. Tests are left out: an
// external test may use what stands above its package.
func TestImportsGoOneWay(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if slices.Contains(skipped, d.Name()) || d.Name() == "bench" {
				return fs.SkipDir
			}
			return nil
		}
		file, err := filepath.Rel(top, name)
		if err != nil {
			return err
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		from := path.Dir(filepath.ToSlash(file))
		room := lineOf(from)
		seen[room] = true
		parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			switch {
			case imported == module:
				imported = ""
			case strings.HasPrefix(imported, module+"/"):
				imported = strings.TrimPrefix(imported, module+"/")
			default:
				checkOutside(t, file, room, imported)
				continue
			}
			to := lineOf(imported)
			may := allowed[room]
			if to != room && !slices.Contains(may, to) && !slices.Contains(may, "*") {
				t.Errorf("%s imports %s/%s; %q may import only itself and %q (see doc.go)", file, module, imported, room, may)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for room := range seen {
		if _, ok := allowed[room]; !ok {
			t.Errorf("package folder %q has no line in the picture: add it to doc.go and to this test", room)
		}
	}
	if len(seen) < 5 {
		t.Fatalf("only %d package folders found: this test no longer sees the code", len(seen))
	}
}

// checkOutside holds the two rules on modules of others: no binary has Proto.Actor's
// remote and cluster, and one package imports yaml.
func checkOutside(t *testing.T, file, room, imported string) {
	t.Helper()
	switch {
	case strings.HasPrefix(imported, "github.com/asynkron/protoactor-go/remote"),
		strings.HasPrefix(imported, "github.com/asynkron/protoactor-go/cluster"):
		t.Errorf("%s imports %s: the core does without it", file, imported)
	case imported == "gopkg.in/yaml.v3" && room != "settings":
		t.Errorf("%s imports yaml: only package settings does, in one file", file)
	}
}

// lineOf returns the longest line of the picture that a package folder is under.
func lineOf(dir string) string {
	if dir == "." {
		return ""
	}
	best := dir
	found := false
	for room := range allowed {
		below := strings.HasPrefix(dir, room+"/") && room != "actors" // each actor has a line of its own
		if room != "" && (dir == room || below) && (!found || len(room) > len(best)) {
			best, found = room, true
		}
	}
	return best
}
