package settings_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// The layout of the contract's section 2, as the chassis' own parts have it.
type chassisLayout struct {
	Tasks struct {
		TaskPool            string        `rule:"required,lower"`
		TaskTimeout         time.Duration `rule:"min=1s"`
		Workers             int           `rule:"min=1"`
		MaxWorkers          int           `rule:"min=1"`
		ScaleFactor         int           `rule:"min=1"`
		UnknownTasksRetries int           `rule:"min=1"`
	}
	CircuitBreaker struct {
		RequestTimeout  time.Duration `rule:"min=1s"`
		OpenTimeout     time.Duration `rule:"min=1s"`
		ClosedFailLimit int           `rule:"min=1"`
	}
}

func chassisDefaults() (d chassisLayout) {
	d.Tasks.TaskTimeout, d.Tasks.Workers, d.Tasks.MaxWorkers, d.Tasks.ScaleFactor = 120*time.Second, 3, 6, 100
	d.Tasks.UnknownTasksRetries = 50
	d.CircuitBreaker.RequestTimeout, d.CircuitBreaker.OpenTimeout, d.CircuitBreaker.ClosedFailLimit = 5*time.Second, 10*time.Second, 10
	return d
}

func TestAPythonFileLoadsUnchanged(t *testing.T) {
	tree, err := settings.Open(settings.File("testdata/python-settings.yml"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := settings.Decode(tree, chassisDefaults(), settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	if c.Tasks.TaskPool != "mailer-tasks" || c.Tasks.TaskTimeout != time.Minute || c.Tasks.Workers != 4 || c.Tasks.MaxWorkers != 12 ||
		c.Tasks.ScaleFactor != 50 || c.Tasks.UnknownTasksRetries != 50 ||
		c.CircuitBreaker.RequestTimeout != 3*time.Second || c.CircuitBreaker.OpenTimeout != 5*time.Second || c.CircuitBreaker.ClosedFailLimit != 4 {
		t.Errorf("got %+v", c)
	}
	type own struct {
		Name, Pool, First string
		Recipients        []string
	}
	o, err := settings.Decode(tree, own{}, settings.Shared())
	if err != nil {
		t.Fatal(err)
	}
	if o.First != "a@example.org" || o.Pool != "mailer-tasks" || len(o.Recipients) != 2 {
		t.Errorf("got %+v", o)
	}
	if err := tree.Unclaimed(); err != nil {
		t.Error(err)
	}
}

func load[T any](t *testing.T, text string) (T, error) {
	t.Helper()
	var zero T
	return settings.Load(zero, settings.Bytes("a.yaml", settings.YAML, []byte(text)))
}

func TestAnAliasChainIsFollowed(t *testing.T) {
	type layout struct{ A, B, C string }
	got, err := load[layout](t, "a: .b\nb: .c\nc: x\n")
	if err != nil || got != (layout{"x", "x", "x"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasCycleIsAnError(t *testing.T) {
	type layout struct{ A, B, C string }
	_, err := load[layout](t, "a: .b\nb: .c\nc: .a\n")
	got := mistakes(t, err)
	if len(got) != 3 || got[0] != "a.yaml:1:4: the alias leads back to itself: .b → .c → .a → .b" {
		t.Errorf("got %q", got)
	}
}

func TestAnAliasMayNameASection(t *testing.T) {
	type inner struct {
		X int
		Y []int
	}
	type layout struct {
		A, B inner
		C    int
	}
	got, err := load[layout](t, "a: .b\nb:\n  x: 5\n  y: [1, 2]\nc: .a.y.1\n")
	if err != nil || got.A.X != 5 || len(got.A.Y) != 2 || got.C != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAnAliasOfTheSectionItStandsInIsAnError(t *testing.T) {
	type layout struct{ A map[string]any }
	_, err := load[layout](t, "a:\n  b: .a\n")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "a.yaml:2:6: the alias .a names a section that it stands in" {
		t.Errorf("got %q", got)
	}
}

func TestTwoDotsAreALiteralDotAndWhatNamesNothingStays(t *testing.T) {
	type layout struct{ A, B, C, D, E, F string }
	got, err := load[layout](t, "a: ..x\nb: ./data\nc: .\nd: .nothing.here\ne: ..\nf: ../certs/ca.pem")
	if err != nil || got != (layout{".x", "./data", ".", ".nothing.here", "..", "../certs/ca.pem"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestADefaultIsCheckedToo(t *testing.T) {
	type layout struct {
		N int `rule:"min=3"`
	}
	_, err := load[layout](t, "")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "default: n: must be at least 3, its default is 0" {
		t.Errorf("got %q", got)
	}
}

func TestEveryFileFormatAndThePrefixAreSources(t *testing.T) {
	type layout struct{ Tasks struct{ Workers int } }
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.yaml": "tasks: {workers: 4}", "a.yml": "tasks: {workers: 4}", "a.json": `{"tasks": {"workers": 4}}`, "a.toml": "tasks.workers = 4",
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := settings.Load(layout{}, settings.File(path))
		if err != nil || got.Tasks.Workers != 4 {
			t.Errorf("%s: got %+v, %v", name, got, err)
		}
	}
	t.Setenv("CONTRACT_TASKS__WORKERS", "5")
	got, err := settings.Load(layout{}, settings.Env("CONTRACT"))
	if err != nil || got.Tasks.Workers != 5 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func items(t *testing.T, items ...settings.Item) *settings.Layout {
	t.Helper()
	l, err := settings.NewLayout(items...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func yamlText(text string) settings.Option {
	return settings.Bytes("a.yaml", settings.YAML, []byte(text))
}

func TestNamedEntriesOneOfThemTheDefault(t *testing.T) {
	layout := items(t, settings.Item{Name: "rate", Default: 1})
	var ledger settings.Ledger
	if _, err := ledger.Default(); err == nil {
		t.Error("an empty ledger gave an entry")
	}
	for entry, text := range map[string]string{settings.DefaultEntry: "rate: 2", "acme": "rate: 3"} {
		if err := ledger.Load(entry, layout, yamlText(text)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := ledger.Default()
	if err != nil {
		t.Fatal(err)
	}
	acme, err := ledger.Entry("acme")
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := settings.Get[int](d, "rate"); a != 2 {
		t.Errorf("default: got %d", a)
	}
	if a, _ := settings.Get[int](acme, "rate"); a != 3 {
		t.Errorf("acme: got %d", a)
	}
	if _, err := ledger.Entry("acne"); err == nil || !strings.Contains(err.Error(), "did you mean acme?") {
		t.Errorf("got %v", err)
	}
	if got := ledger.Names(); !slices.Equal(got, []string{"acme", "default"}) {
		t.Errorf("got %q", got)
	}
}

func TestNothingKeepsAnEarlierLoadsValue(t *testing.T) {
	layout := items(t, settings.Item{Name: "a", Default: 1}, settings.Item{Name: "b", Default: map[string]int{"x": 1}})
	var ledger settings.Ledger
	if err := ledger.Load("default", layout, yamlText("a: 5\nb: {y: 2}")); err != nil {
		t.Fatal(err)
	}
	if err := ledger.Load("default", layout, yamlText("")); err != nil {
		t.Fatal(err)
	}
	v, _ := ledger.Default()
	if a, err := settings.Get[int](v, "a"); err != nil || a != 1 {
		t.Errorf("a: got %d, %v", a, err)
	}
	if b, err := settings.Get[map[string]int](v, "b"); err != nil || len(b) != 1 {
		t.Errorf("b: got %v, %v", b, err)
	}
	if err := ledger.Load("default", layout, yamlText("a: x")); err == nil {
		t.Error("a bad load was taken")
	}
	if again, _ := ledger.Default(); again != v {
		t.Error("a bad load took the entry away")
	}
}

func TestAValueIsReachedByADottedPath(t *testing.T) {
	layout := items(t,
		settings.Item{Name: "tasks.workers", Default: 3},
		settings.Item{Name: "tasks.timeout", Default: 5 * time.Second},
		settings.Item{Name: "recipients", Default: []string(nil)},
		settings.Item{Name: "any", Default: nil},
		settings.Item{Name: "token", Default: settings.NewSecret("x")},
	)
	v, err := layout.Load(yamlText("tasks: {workers: 7}\nrecipients: [a, b]\nany: {x: [1, {y: z}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"tasks.workers": 7, "recipients.1": "b", "any.x.1.y": "z", "any.x.0": int64(1), "tasks.timeout": 5 * time.Second,
	} {
		if got, err := v.Get(path); err != nil || got != want {
			t.Errorf("%s: got %v, %v", path, got, err)
		}
	}
	if got, err := settings.Get[int64](v, "tasks.workers"); err != nil || got != 7 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := settings.Get[map[string]any](v, "tasks"); err != nil || got["workers"] != 7 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := settings.Get[settings.Secret[string]](v, "token"); err != nil || got.Reveal() != "x" {
		t.Errorf("got %v, %v", got, err)
	}
	for path, want := range map[string]string{
		"tasks.worker": "did you mean tasks.workers?", "recipients.2": "is a list of 2", "recipients.-1": "is a list of 2", "tasks.workers.x": "is a single value",
		"": "an empty path", "a..b": "empty name", "any.x.1.q": "has no entry q",
	} {
		if _, err := v.Get(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", path, err)
		}
	}
	if _, err := settings.Get[string](v, "token"); err == nil || !strings.Contains(err.Error(), "Reveal") {
		t.Errorf("got %v", err)
	}
	if _, err := settings.Get[bool](v, "tasks.workers"); err == nil || !strings.Contains(err.Error(), "is a int, not a bool") {
		t.Errorf("got %v", err)
	}
}

func TestALayoutNamesItemsWithDefaultTypeAndRules(t *testing.T) {
	layout := items(t,
		settings.Item{Name: "pool", Type: reflect.TypeFor[string](), Rules: "lower"},
		settings.Item{Name: "timeout", Type: reflect.TypeFor[time.Duration](), Default: "90s", Rules: "min=1s"},
		settings.Item{Name: "even", Default: 2, Check: func(v any) error {
			if v.(int)%2 != 0 {
				return errors.New("must be even")
			}
			return nil
		}},
	)
	v, err := layout.Load(yamlText("pool: x"))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := settings.Get[time.Duration](v, "timeout"); err != nil || d != 90*time.Second {
		t.Errorf("got %v, %v", d, err)
	}
	got := mistakes(t, layout.Check(yamlText("pool: X\ntimeout: 0\neven: 3\n")))
	want := []string{
		`a.yaml:1:7: pool: must be all lower case, found "X"; did you mean x?`,
		`a.yaml:2:10: timeout: must be at least 1s, found 0s`,
		`a.yaml:3:7: even: must be even`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAnItemWithATypeAndNoDefaultIsRequired(t *testing.T) {
	layout := items(t, settings.Item{Name: "tasks.pool", Type: reflect.TypeFor[string]()})
	got := mistakes(t, layout.Check(yamlText("\ntasks: {}\n"), settings.Environ("APP", []string{})))
	if want := []string{"a.yaml:2:8: tasks.pool: is required (a string) and nothing gives it; it may also be set by APP_TASKS__POOL"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAnItemThatCannotBeNamedSoIsAnError(t *testing.T) {
	for _, name := range []string{"-", "a.-", `""`, `a."".b`, ""} {
		if _, err := settings.NewLayout(settings.Item{Name: name, Default: 1}); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}

func TestANumberIsNotTakenForADuration(t *testing.T) {
	v, err := items(t, settings.Item{Name: "n", Default: 30}, settings.Item{Name: "d", Default: 30 * time.Second}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := settings.Get[time.Duration](v, "n"); err == nil {
		t.Errorf("thirty of what? got %v", got)
	}
	if got, err := settings.Get[time.Duration](v, "d"); err != nil || got != 30*time.Second {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestAnItemsDefaultIsCheckedToo(t *testing.T) {
	layout := items(t, settings.Item{Name: "n", Default: 0, Rules: "min=3"})
	if got := mistakes(t, layout.Check()); len(got) != 1 || got[0] != "default: n: must be at least 3, its default is 0" {
		t.Errorf("got %q", got)
	}
	if _, err := settings.NewLayout(settings.Item{Name: "n", Type: reflect.TypeFor[int](), Default: "many"}); err == nil || !strings.Contains(err.Error(), `its default: expected a whole number, found "many"`) {
		t.Errorf("got %v", err)
	}
}

func TestRequireEnvGivesTheVariableOrTheDefaultOrAnError(t *testing.T) {
	t.Setenv("CONTRACT_PORT", "81")
	if got, err := settings.RequireEnv("CONTRACT_PORT", new(80), "port"); err != nil || got != 81 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := settings.RequireEnv("CONTRACT_UNSET", new(80)); err != nil || got != 80 {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := settings.RequireEnv[string]("CONTRACT_UNSET", nil); err == nil || err.Error() != "CONTRACT_UNSET: the variable is required (a string) and is not set" {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv("CONTRACT_PORT", new(80), "max=80"); err == nil || err.Error() != "CONTRACT_PORT: must be at most 80, found 81" {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv("CONTRACT_UNSET", new(99), "max=80"); err == nil || err.Error() != "CONTRACT_UNSET: must be at most 80, its default is 99" {
		t.Errorf("got %v", err)
	}
	t.Setenv("CONTRACT_TOKEN", "s3cr3t")
	if got, err := settings.RequireEnv[settings.Secret[string]]("CONTRACT_TOKEN", nil); err != nil || got.Reveal() != "s3cr3t" {
		t.Errorf("got %v, %v", got, err)
	}
	if _, err := settings.RequireEnv[settings.Secret[int]]("CONTRACT_TOKEN", nil); err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv[int]("CONTRACT_PORT", nil, "mni=3"); err == nil || !strings.Contains(err.Error(), "did you mean min?") {
		t.Errorf("got %v", err)
	}
}

func TestRequireEnvTellsEmptyFromUnset(t *testing.T) {
	t.Setenv("CONTRACT_EMPTY", "")
	if got, err := settings.RequireEnv("CONTRACT_EMPTY", new("default")); err != nil || got != "" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := settings.RequireEnv("CONTRACT_EMPTY", new(3)); err == nil || err.Error() != "CONTRACT_EMPTY: expected a whole number, found an empty value" {
		t.Errorf("got %v", err)
	}
	if _, err := settings.RequireEnv[string]("CONTRACT_EMPTY", nil, "nonempty"); err == nil {
		t.Error("empty passed nonempty")
	}
}

func TestNothingIsWrittenToTheEnvironment(t *testing.T) {
	before := os.Environ()
	_, _ = settings.RequireEnv("CONTRACT_UNSET", new("x"))
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte("CONTRACT_A=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	type layout struct{ A int }
	if got, err := settings.Load(layout{}, settings.DotEnv("CONTRACT", filepath.Join(dir, ".env")), settings.Env("CONTRACT")); err != nil || got.A != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if after := os.Environ(); !slices.Equal(before, after) {
		t.Errorf("the environment was changed: %q", after)
	}
}

func TestAllErrorsComeAtOnceAndSayWhereTheyStand(t *testing.T) {
	type layout struct{ A, B, C int }
	_, err := load[layout](t, "a: x\nb: y\nd: 1\nc: z\n")
	if got := settings.Mistakes(err); len(got) != 4 || got[3].Pos != (settings.Position{File: "a.yaml", Line: 4, Column: 4}) {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownKeyIsAnError(t *testing.T) {
	type layout struct{ Workers int }
	_, err := load[layout](t, "wokers: 1\n")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "a.yaml:1:1: wokers: no such key; did you mean workers?" {
		t.Errorf("got %q", got)
	}
	if _, err := settings.Load(layout{}, yamlText("wokers: 1"), settings.AllowUnknown()); err != nil {
		t.Error(err)
	}
}

func TestAnAliasReachesAcrossSourcesAndIntoAddedSections(t *testing.T) {
	type section struct{ X, Y int }
	type layout struct {
		Base, A section
		N       int
	}
	got, err := settings.Load(layout{}, yamlText("base: {x: 1, y: 2}\na: .base\n"), settings.Environ("APP", []string{"APP_A__Y=5", "APP_N=.a.x"}))
	if err != nil || got != (layout{Base: section{1, 2}, A: section{1, 5}, N: 1}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
