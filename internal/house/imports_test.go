package house

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
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
	"systemtest":        {"*"}, // tests of the whole
	"internal":          {},
	"internal/clip":     {},
	"internal/life":     {},
	"internal/limit":    {},
	"internal/random":   {},
	"internal/recent":   {},
	"internal/skew":     {},
	"internal/spelling": {},
	"health":            {"internal/clip"},
	"parts":             {"internal/clip"},
	"settings":          {"internal/spelling"},
	"server":            {"actors/logger", "internal/clip", "internal/limit", "parts", "task"},
	"server/grpcserver": {"actors/logger", "admin", "internal/clip", "parts", "server", "task"},
	"task":              {"internal/clip"},
	"task/envelope":     {"task"},
	"task/outbox":       {"actors/poller", "actors/pools", "internal/clip", "parts", "task"},
	"task/outbox/tests": {"*"}, // a module of its own
	"task/flow":         {"actors/poller", "actors/pools", "parts", "queue/sqsclient", "task"},
	"telemetry":         {"*"}, // a module of its own, which makes a System
	"fleet":             {"*"}, // a module of its own, which hangs on to a System
	"queue":             {"queue/localsqs", "queue/sqsclient", "settings"},
	"queue/localsqs":    {},
	"queue/sqsclient":   {},
	"actors":            {},
	"actors/addresses":  {"actors", "internal/clip", "internal/life", "internal/recent", "queue/sqsclient", "task"},
	"actors/breaker":    {"actors", "actors/internal/inline", "internal/clip", "internal/limit", "settings"},
	"actors/lifecycle":  {"actors", "actors/logger", "internal/clip", "internal/life"},
	"actors/logger":     {"actors", "internal/clip", "internal/life", "task"},
	"actors/poller":     {"actors", "actors/internal/crew", "internal/life", "internal/skew", "queue/sqsclient", "task"},
	"actors/shares":     {"actors", "internal/life"},
	"actors/schedules":  {"actors", "internal/life", "internal/skew", "queue/sqsclient", "task"},
	"actors/dispatcher": {"actors", "actors/internal/crew", "actors/internal/inline", "internal/life", "internal/recent", "internal/spelling", "actors/poller", "actors/shares", "task"},
	"actors/pools":      {"actors", "actors/addresses", "actors/breaker", "actors/dispatcher", "actors/poller", "actors/schedules", "actors/shares", "internal/life", "internal/random", "internal/recent", "queue", "queue/sqsclient", "task", "task/envelope"},

	"task/envelope/awsstore": {"*"}, // a module of its own

	"actors/internal/crew":   {},
	"actors/internal/inline": {},
	"admin": {"actors/breaker", "actors/dispatcher", "actors/lifecycle", "actors/logger", "actors/poller", "actors/pools",
		"actors/schedules", "health", "internal/clip", "parts", "settings"},
	"admin/console": {"admin", "health", "parts", "task", "actors/addresses", "actors/breaker", "actors/dispatcher", "actors/lifecycle", "actors/logger", "actors/pools",
		"actors/schedules", "internal/clip", "internal/life", "settings"},
}

// TestImportsGoOneWay compares the code with that picture. Tests are left out: an
// external test may use what stands above its package.
func TestImportsGoOneWay(t *testing.T) {
	seen := map[string]bool{}
	arrows := map[string]map[string]bool{} // between the folders at the top; the root is one of them
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
			if a, b := folder(from), folder(imported); a != b {
				if arrows[a] == nil {
					arrows[a] = map[string]bool{}
				}
				arrows[a][b] = true
			}
			to := lineOf(imported)
			if room == "" && strings.HasPrefix(to, "server") {
				t.Errorf("%s imports %s: the core does without it", file, imported)
			}
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
	if around := circle(arrows); around != nil {
		t.Errorf("folders at the top import each other in a circle: %s", strings.Join(around, " ─► "))
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

// folder returns the folder at the top that a package lies in, or "chassis" for the root.
// A package that stands next to the core is a folder of its own, wherever it lies.
func folder(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	for _, beside := range []string{"task/outbox", "task/flow"} {
		if pkg == beside || strings.HasPrefix(pkg, beside+"/") {
			return beside
		}
	}
	if first == "" || first == "." {
		return "chassis"
	}
	return first
}

// circle returns folders that import each other, from one back to itself, or nil.
func circle(arrows map[string]map[string]bool) []string {
	done := map[string]bool{}
	var visit func(at string, way []string) []string
	visit = func(at string, way []string) []string {
		if i := slices.Index(way, at); i >= 0 {
			return append(way[i:], at)
		}
		if done[at] {
			return nil
		}
		way = append(way, at)
		for _, to := range slices.Sorted(maps.Keys(arrows[at])) {
			if around := visit(to, way); around != nil {
				return around
			}
		}
		done[at] = true
		return nil
	}
	for _, from := range slices.Sorted(maps.Keys(arrows)) {
		if around := visit(from, nil); around != nil {
			return around
		}
	}
	return nil
}

// TestCircle shows that circle finds one, and accuses no tree.
func TestCircle(t *testing.T) {
	tree := map[string]map[string]bool{"cmd": {"chassis": true, "task": true}, "chassis": {"task": true}}
	if around := circle(tree); around != nil {
		t.Errorf("a tree: %v", around)
	}
	tree["task"] = map[string]bool{"cmd": true}
	if around := circle(tree); len(around) < 3 || around[0] != around[len(around)-1] {
		t.Errorf("a circle: %v", around)
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
