package settings_test

import (
	"errors"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
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
		`APP_DB__PROT: db.prot: no such setting; did you mean APP_DB__PORT?`,
		`APP_DEBUG: debug: expected true or false, found "maybe"`,
		`APP_db: no such setting`,
		`a.yaml:1:1: nmae: no such key; did you mean name?`,
		`a.yaml:2:8: level: must be one of debug, info, warn, error, found "wran"; did you mean warn?`,
		`a.yaml:5:9: db.port: expected a whole number from 0 to 65535, found the number 70000`,
		`a.yaml:6:3: db.timeuot: no such key in db; did you mean timeout?`,
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
		`a.toml:2:1: nam: no such key; did you mean name?`,
		`a.toml:4:1: db.prot: no such key in db; did you mean port?`,
		`a.toml:5:8: db.port: expected a whole number, found the string "x"`,
		`a.toml:12:11: peers.1.timeout: expected a duration such as 90s or 1m30s, found a section of 1`,
		`a.toml:13:1: peers.1.prt: no such key in peers.1; did you mean port?`,
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
		`a.json:3:10: db.é: no such key in db; known are host, port, password, timeout`,
		`a.json:3:18: db.prt: no such key in db; did you mean port?`,
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
