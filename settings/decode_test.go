package settings_test

import (
	"errors"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

type common struct {
	Name string `rule:"required"`
}

type database struct {
	Host     string                  `rule:"required"`
	Port     uint16                  `rule:"min=1"`
	Password settings.Secret[string] `doc:"password"`
	Timeout  time.Duration           `rule:"min=100ms,max=1m"`
}

type service struct {
	common
	Level   string `rule:"oneof=debug|info|warn|error"`
	DB      database
	Replica *database
	Tags    []string `rule:"max=4,each,lower"`
	Limits  map[string]int
	Ratio   float64 `rule:"min=0,max=1"`
	Debug   bool
	Site    *url.URL `rule:"url"`
	Only    *regexp.Regexp
	Since   time.Time
	Cache   int64
	Addr    netip.Addr
	Peers   []database
	Matrix  [2]int
	Hidden  int `key:"-"`
}

func defaults() service {
	return service{common: common{Name: "svc"}, Level: "info", DB: database{Host: "localhost", Port: 5432, Timeout: time.Second},
		Limits: map[string]int{"a": 1, "b": 2}, Cache: 1 << 20}
}

const fullYAML = `
name: mailer
level: debug
db:
  host: db.internal
  port: 6432
  password: hunter2
  timeout: 5
replica: {host: other, port: 1, timeout: 1.5}
tags: [x, y]
limits:
  b: 20
  c: 0x10
ratio: 0.5
debug: yes
site: https://example.org/x
only: ^a+$
since: 2026-11-23T10:00:00Z
cache: 67108864
addr: 10.0.0.1
peers:
  - host: p1
    port: 1
    timeout: 2s
matrix: [1, 2]
`

const fullTOML = `
name = "mailer"
level = "debug"
tags = ["x", "y"]
ratio = 0.5
debug = true
site = "https://example.org/x"
only = "^a+$"
since = 2026-11-23T10:00:00Z
cache = 67108864
addr = "10.0.0.1"
matrix = [1, 2]
limits.b = 20
limits.c = 0x10
replica = {host = "other", port = 1, timeout = 1.5}

[db]
host = "db.internal"
port = 6432
password = "hunter2"
timeout = 5

[[peers]]
host = "p1"
port = 1
timeout = "2s"
`

const fullJSON = `{
 "name": "mailer", "level": "debug", "tags": ["x", "y"], "ratio": 0.5, "debug": true,
 "site": "https://example.org/x", "only": "^a+$", "since": "2026-11-23T10:00:00Z", "cache": 67108864,
 "addr": "10.0.0.1", "matrix": [1, 2], "limits": {"b": 20, "c": 16},
 "replica": {"host": "other", "port": 1, "timeout": 1.5},
 "db": {"host": "db.internal", "port": 6432, "password": "hunter2", "timeout": 5},
 "peers": [{"host": "p1", "port": 1, "timeout": "2s"}]
}`

var fullEnv = []string{
	"APP_NAME=mailer", "APP_LEVEL=debug", "APP_DB__HOST=db.internal", "APP_DB__PORT=6432", "APP_DB__PASSWORD=hunter2",
	"APP_DB__TIMEOUT=5", `APP_REPLICA={"host": "other", "port": 1, "timeout": 1.5}`, "APP_TAGS=x, y", "APP_LIMITS__B=20",
	"APP_LIMITS__C=16", "APP_RATIO=0.5", "APP_DEBUG=on", "APP_SITE=https://example.org/x", "APP_ONLY=^a+$",
	"APP_SINCE=2026-11-23T10:00:00Z", "APP_CACHE=67108864", "APP_ADDR=10.0.0.1", "APP_PEERS__0__HOST=p1",
	"APP_PEERS__0__PORT=1", "APP_PEERS__0__TIMEOUT=2s", "APP_MATRIX=[1,2]", "PATH=/bin", "APPLE=1",
}

func TestOneValueFromEveryFormat(t *testing.T) {
	want := defaults()
	site, _ := url.Parse("https://example.org/x")
	want.Name, want.Level, want.Ratio, want.Debug, want.Site = "mailer", "debug", 0.5, true, site
	want.DB = database{Host: "db.internal", Port: 6432, Password: settings.NewSecret("hunter2"), Timeout: 5 * time.Second}
	want.Replica = &database{Host: "other", Port: 1, Timeout: 1500 * time.Millisecond}
	want.Tags = []string{"x", "y"}
	want.Limits = map[string]int{"a": 1, "b": 20, "c": 16}
	want.Only = regexp.MustCompile("^a+$")
	want.Since = time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	want.Cache = 64 << 20
	want.Addr = netip.MustParseAddr("10.0.0.1")
	want.Peers = []database{{Host: "p1", Port: 1, Timeout: 2 * time.Second}}
	want.Matrix = [2]int{1, 2}
	for name, source := range map[string]settings.Option{
		"yaml": settings.Bytes("a.yaml", settings.YAML, []byte(fullYAML)),
		"toml": settings.Bytes("a.toml", settings.TOML, []byte(fullTOML)),
		"json": settings.Bytes("a.json", settings.JSON, []byte(fullJSON)),
		"env":  settings.Environ("APP", fullEnv),
	} {
		t.Run(name, func(t *testing.T) {
			def := defaults()
			got, err := settings.Load(def, source)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if !reflect.DeepEqual(def, defaults()) {
				t.Errorf("the defaults were changed: %+v", def)
			}
		})
	}
}

func mistakes(t *testing.T, err error) []string {
	t.Helper()
	var es settings.Errors
	if !errors.As(err, &es) {
		t.Fatalf("not settings.Errors: %v", err)
	}
	return strings.Split(es.Error(), "\n")
}

func TestEveryMistakeAtOnceWithItsPlace(t *testing.T) {
	const text = `nmae: mailer
level: wran
db:
  host: x
  port: 70000
  timeuot: 5
  timeout: 2m
tags: [ok, Bad]
ratio: "0.5"
level: info
limits: {a: many}
cache: 10MiBs
`

	_, err := settings.Load(defaults(), settings.Bytes("a.yaml", settings.YAML, []byte(text)),
		settings.Environ("APP", []string{"APP_DB__PROT=1", "APP_db=2", "APP_DEBUG=maybe"}))
	got := mistakes(t, err)
	want := []string{
		`APP_DB__PROT: db.prot: unknown setting; did you mean APP_DB__PORT?`,
		`APP_DEBUG: debug: expected true or false, found "maybe"`,
		`APP_db: unknown setting`,
		`a.yaml:1:1: nmae: unknown key; did you mean name?`,
		`a.yaml:2:8: level: must be one of debug, info, warn, error, found "wran"; did you mean warn?`,
		`a.yaml:5:9: db.port: expected a whole number from 0 to 65535, found the number 70000`,
		`a.yaml:6:3: db.timeuot: unknown key in db; did you mean timeout?`,
		`a.yaml:7:12: db.timeout: must be at most 1m, found 2m`,
		`a.yaml:8:12: tags.1: must be all lower case, found "Bad"; did you mean bad?`,
		`a.yaml:9:8: ratio: expected a number, found the string "0.5": take the quotes off`,
		`a.yaml:10:1: the key level is given already on line 2`,
		`a.yaml:11:13: limits.a: expected a whole number, found the string "many"`,
		`a.yaml:12:8: cache: expected a whole number, found the string "10MiBs"`,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPositionsOfTOMLAndJSON(t *testing.T) {
	const toml = `name = "x"
nam = 1
[db]
prot = 1
port = "x"
[[peers]]
host = "a"
port = 1
timeout = "1s"
[[peers]]
host = "b"
timeout = { a = 1 }
prt = 4
`

	_, err := settings.Load(defaults(), settings.Bytes("a.toml", settings.TOML, []byte(toml)))
	want := []string{
		`a.toml:2:1: nam: unknown key; did you mean name?`,
		`a.toml:4:1: db.prot: unknown key in db; did you mean port?`,
		`a.toml:5:8: db.port: expected a whole number, found the string "x"`,
		`a.toml:12:11: peers.1.timeout: expected a duration like 90s or 1m30s, found a section of 1`,
		`a.toml:13:1: peers.1.prt: unknown key in peers.1; did you mean port?`,
	}
	got := mistakes(t, err)
	got = dropLine(got, "peers.1.port: must be at least 1")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	const json = "{\n  \"name\": 5,\n  \"db\": {\"é\": 1, \"prt\": 2},\n  \"name\": \"y\"\n}"
	_, err = settings.Load(defaults(), settings.Bytes("a.json", settings.JSON, []byte(json)))
	want = []string{
		`a.json:2:11: name: expected a string, found the number 5: put it in quotes`,
		`a.json:3:10: db.é: unknown key in db; known are host, port, password, timeout`,
		`a.json:3:18: db.prt: unknown key in db; did you mean port?`,
		`a.json:4:3: the key name is given already on line 2`,
	}
	if got := mistakes(t, err); !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func dropLine(lines []string, with string) []string {
	var out []string
	for _, l := range lines {
		if !strings.Contains(l, with) {
			out = append(out, l)
		}
	}
	return out
}

// Numbers and booleans are what the Python chassis' parser makes of them.
func TestNumbersAndBooleansAreThoseOfYAML(t *testing.T) {
	type layout struct {
		N int
		U uint16
		F float64
		D time.Duration
		Z int64
		B bool
	}
	for text, want := range map[string]layout{
		"{n: 017, u: 0644, f: 017, d: 017, z: 017}":    {N: 15, U: 0o644, F: 15, D: 15 * time.Second, Z: 15},
		"{n: -017, u: 0o17, f: 0b11, d: -0x10, z: 00}": {N: -15, U: 15, F: 3, D: -16 * time.Second},
		"{n: 1_000, f: 1_0.5, d: '010', z: 10}":        {N: 1000, F: 10.5, D: 10 * time.Second, Z: 10},
		"b: !!bool yes":                                {B: true}, "b: !!bool off": {}, "b: !!bool True": {B: true},
	} {
		if got, err := load[layout](t, text); err != nil || got != want {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"b: !!bool ja", "b: !!bool 1", "b: !!bool ''", "n: !!int x"} {
		if got, err := load[layout](t, text); err == nil {
			t.Errorf("%s: got %+v", text, got)
		}
	}
	got, err := settings.Load(layout{}, settings.Environ("A", []string{"A_N=-010", "A_U=010", "A_F=010", "A_D= 010", "A_Z=010"}))
	if want := (layout{N: -10, U: 10, F: 10, D: 10 * time.Second, Z: 10}); err != nil || got != want {
		t.Errorf("a variable's leading zeros mean nothing: got %+v, %v", got, err)
	}
}

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

func TestAllErrorsComeAtOnceWithTheirPlaces(t *testing.T) {
	type layout struct{ A, B, C int }
	_, err := load[layout](t, "a: x\nb: y\nd: 1\nc: z\n")
	if got := settings.Mistakes(err); len(got) != 4 || got[3].Pos != (settings.Position{File: "a.yaml", Line: 4, Column: 4}) {
		t.Errorf("got %v", err)
	}
}

func TestAnUnknownKeyIsAnError(t *testing.T) {
	type layout struct{ Workers int }
	_, err := load[layout](t, "wokers: 1\n")
	if got := mistakes(t, err); len(got) != 1 || got[0] != "a.yaml:1:1: wokers: unknown key; did you mean workers?" {
		t.Errorf("got %q", got)
	}
	if _, err := settings.Load(layout{}, yamlText("wokers: 1"), settings.AllowUnknown()); err != nil {
		t.Error(err)
	}
}

type nervous struct {
	Batch int `key:"batch"`
}

func (n *nervous) Validate() error {
	if n.Batch > 10 {
		m := map[string]any{}
		m["self"] = m
		panic(m)
	}
	return nil
}

type textual struct{ text string }

func (t *textual) UnmarshalText(b []byte) error {
	t.text = string(b[:100]) // out of range
	return nil
}

// A panic in a Validate or UnmarshalText of the service's own came through Load,
// and through the goroutine that reads a changed file while the service runs: the
// save of a file ended the process (like knadh/koanf#379).
func TestAPanicOfTheServicesOwnValidationEndedTheProcess(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "app.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, err := settings.Load(nervous{}, settings.File(write("batch: 11\n")))
	if err == nil || !strings.Contains(err.Error(), "Validate panicked") {
		t.Errorf("Validate: %v", err)
	}
	_, err = settings.Load(struct {
		Of textual `key:"of"`
	}{}, settings.File(write("of: short\n")))
	if err == nil || !strings.Contains(err.Error(), "UnmarshalText panicked") {
		t.Errorf("UnmarshalText: %v", err)
	}
}
