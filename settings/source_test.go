package settings_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/sambatech/chassis/settings"
)

type small struct {
	A, B, C, D, E, F, G string
	N                   int
	List                []string
	Map                 map[string]string
	On                  bool
	Token               settings.Secret[string]
}

func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestPrecedenceDoesNotDependOnTheOrderOfSources(t *testing.T) {
	dir := files(t, map[string]string{
		"c.yaml":      "{b: file, c: file, d: file, e: file, f: file, g: file}",
		"c.prod.yaml": "{c: profile, d: profile, e: profile, f: profile, g: profile}",
		".env":        "APP_D=dotenv\nAPP_E=dotenv\nAPP_F=dotenv\nAPP_G=dotenv\n",
		"f.txt":       "mounted\n",
	})
	sources := []settings.Option{
		settings.Set("--set", []string{"g=flag"}),
		settings.Environ("APP", []string{"APP_E=env", "APP_F_FILE=" + filepath.Join(dir, "f.txt"), "APP_G=env"}),
		settings.DotEnv("APP", filepath.Join(dir, ".env")),
		settings.Profiles("prod"),
		settings.File(filepath.Join(dir, "c.yaml")),
	}
	want := small{A: "default", B: "file", C: "profile", D: "dotenv", E: "env", F: "mounted", G: "flag"}
	for range 2 {
		got, err := settings.Load(small{A: "default", B: "default"}, sources...)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v", got)
		}
		slices.Reverse(sources)
	}
}

func TestProfiles(t *testing.T) {
	dir := files(t, map[string]string{"c.yaml": "a: plain", "c.prod.yaml": "a: prod", "c.eu.toml": `b = "eu"`})
	file := settings.File(filepath.Join(dir, "c.yaml"))
	t.Setenv("PROFILES_TEST", "prod, eu")
	got, err := settings.Load(small{}, file, settings.ProfilesFromEnv("PROFILES_TEST"))
	if err != nil || got.A != "prod" || got.B != "eu" {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = settings.Load(small{}, file, settings.ProfilesFromEnv("APP_PROFILE"), settings.Environ("APP", []string{"APP_PROFILE=eu"}))
	if err != nil || got.A != "plain" || got.B != "eu" {
		t.Errorf("the variable of the profile is no setting: got %+v, %v", got, err)
	}
	env := settings.DotEnv("APP", filepath.Join(files(t, map[string]string{".env": "APP_PROFILE=eu"}), ".env"))
	_, err = settings.Load(small{}, settings.ProfilesFromEnv("APP_PROFILE"), env, settings.Shared())
	if err == nil || !strings.Contains(err.Error(), ".env:1:1: APP_PROFILE: says which files are read") {
		t.Errorf("a profile is passed over in silence: got %v", err)
	}
	_, err = settings.Load(small{}, file, settings.ProfilesFromEnv("APP_PROFILE"), env, settings.Environ("APP", []string{"APP_PROFILE=eu"}))
	if err != nil {
		t.Errorf("the environment has it too: got %v", err)
	}
	_, err = settings.Load(small{}, file, settings.Profiles("pord"))
	if got := mistakes(t, err); len(got) != 1 || got[0] != `profile: no file has the profile "pord"; did you mean prod?` {
		t.Errorf("got %q", got)
	}
	if _, err = settings.Load(small{}, file, settings.Profiles("../x", "")); err == nil {
		t.Error("a profile left the directory")
	}
}

// chassis.prod.yaml is the profile of chassis.yaml, and of chassis.toml and
// chassis.json too if they have none of their own.
func TestAProfileIsReadOnce(t *testing.T) {
	type layout struct {
		List []string `merge:"append"`
		N    int
	}
	dir := files(t, map[string]string{"c.yaml": "list: [a]", "c.prod.yaml": "list: [b]\nn: 1"})
	at := func(name string) settings.Option { return settings.OptionalFile(filepath.Join(dir, name)) }
	sources := []settings.Option{at("c.yaml"), at("c.toml"), at("c.json"), settings.Profiles("prod")}
	if got, err := settings.Load(layout{}, sources...); err != nil || !slices.Equal(got.List, []string{"a", "b"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	write(t, filepath.Join(dir, "c.prod.toml"), "n = 2")
	if got, err := settings.Load(layout{}, sources...); err != nil || got.N != 2 {
		t.Errorf("the later file does not go before: got %+v, %v", got, err)
	}
}

// A file made of Example has "tasks:" with every line below it commented out.
func TestAnEmptySectionGivesNothing(t *testing.T) {
	type inner struct {
		Host string
		Port int
		M    map[string]int
	}
	type layout struct {
		Tasks struct {
			Workers int
			Pool    string
			DB      inner
			Token   settings.Secret[string]
		}
		M map[string]int
	}
	const base = "tasks:\n  workers: 4\n  pool: a\n  token: t\n  db: {host: h, port: 1, m: {a: 1}}\nm: {a: 1}\n"
	var want layout
	want.Tasks.Workers, want.Tasks.Pool, want.Tasks.DB = 4, "a", inner{Host: "h", Port: 1, M: map[string]int{"a": 1}}
	load := func(texts ...string) layout {
		t.Helper()
		var options []settings.Option
		for i, text := range texts {
			options = append(options, settings.Bytes(fmt.Sprint(i), settings.YAML, []byte(text)))
		}
		got, err := settings.Load(layout{}, options...)
		if err != nil || got.Tasks.Token.Reveal() != "t" {
			t.Fatalf("got %+v, %v", got, err)
		}
		got.Tasks.Token = settings.Secret[string]{}
		return got
	}
	if got := load(base, "tasks:\n  #workers: 9\nm:\n"); !reflect.DeepEqual(got.Tasks, want.Tasks) || got.M != nil {
		t.Errorf("got %+v", got)
	}
	want.Tasks.Workers, want.Tasks.DB.Port, want.Tasks.DB.M = 9, 2, map[string]int{"a": 1, "b": 2}
	if got := load(base, "tasks:\n", "tasks: {workers: 9, db: {port: 2, m: {b: 2}}}", "tasks:\n"); !reflect.DeepEqual(got.Tasks, want.Tasks) {
		t.Errorf("got %+v", got)
	}
	want.Tasks.DB = inner{Host: "h", Port: 1}
	if got := load(base, "tasks:\n", "tasks: {workers: 9, db: {m: }}"); !reflect.DeepEqual(got.Tasks, want.Tasks) {
		t.Errorf("got %+v", got)
	}
	want.Tasks.DB.M = map[string]int{"a": 1}
	if got := load(base, "tasks:\n", "tasks: {workers: 9, db: }"); !reflect.DeepEqual(got.Tasks, want.Tasks) {
		t.Errorf("got %+v", got)
	}
	if got := load(base, "m:\n", "m: {b: 2}"); !reflect.DeepEqual(got.M, map[string]int{"b": 2}) {
		t.Errorf("a null clears a map: got %+v", got)
	}
}

func TestAMissingFile(t *testing.T) {
	dir := files(t, map[string]string{"chassis.yml": "a: x"})
	path := filepath.Join(dir, "chassis.yaml")
	_, err := settings.Load(small{}, settings.File(path))
	if got := mistakes(t, err); len(got) != 1 || got[0] != path+": cannot be read: "+syscall.ENOENT.Error()+"; did you mean "+filepath.Join(dir, "chassis.yml")+"?" {
		t.Errorf("got %q", got)
	}
	if _, err := settings.Load(small{}, settings.OptionalFile(path)); err != nil {
		t.Error(err)
	}
	_, err = settings.Load(small{}, settings.OptionalFile(dir))
	if got := mistakes(t, err); !strings.Contains(got[0], "cannot be read: is a directory, expected a file") {
		t.Errorf("got %q", got)
	}
	got, err := settings.Load(small{}, settings.FileFS(fstest.MapFS{"c.json": {Data: []byte(`{"a": "fs"}`)}}, "c.json"))
	if err != nil || got.A != "fs" {
		t.Errorf("got %+v, %v", got, err)
	}
	_, err = settings.Load(small{}, settings.FileFS(fstest.MapFS{"c.ini": {Data: []byte(`x`)}}, "c.ini"))
	if got := mistakes(t, err); !strings.Contains(got[0], "the extension is that of no format") {
		t.Errorf("got %q", got)
	}
}

func TestDotEnv(t *testing.T) {
	dir := files(t, map[string]string{".env": `# a comment
export APP_A=plain text # not this
APP_B='single $ "quoted" # kept'
APP_C="double \"quoted\"\nline \$ \q"   # and this
APP_D="two
lines"
APP_E=
OTHER=x
APP_N = 5
APP_LIST=a,b
`})
	got, err := settings.Load(small{E: "default"}, settings.DotEnv("APP", filepath.Join(dir, ".env")), settings.DotEnv("APP", filepath.Join(dir, "none.env")))
	want := small{A: "plain text", B: `single $ "quoted" # kept`, C: "double \"quoted\"\nline $ \\q", D: "two\nlines", N: 5, List: []string{"a", "b"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestAMountedSecret(t *testing.T) {
	dir := files(t, map[string]string{"token": ".s3cr3t\r\n", ".env": "APP_TOKEN_FILE=token\n"})
	env := func(vars ...string) settings.Option { return settings.Environ("APP", vars) }
	got, err := settings.Load(small{}, env("APP_TOKEN_FILE="+filepath.Join(dir, "token")))
	if err != nil || got.Token.Reveal() != ".s3cr3t" {
		t.Errorf("got %q, %v", got.Token.Reveal(), err)
	}
	got, err = settings.Load(small{}, settings.DotEnv("APP", filepath.Join(dir, ".env")), yamlText("token: weaker"))
	if err != nil || got.Token.Reveal() != ".s3cr3t" {
		t.Errorf("a path in a .env file is from that file: got %q, %v", got.Token.Reveal(), err)
	}
	got, err = settings.Load(small{}, env("APP_TOKEN_FILE=/none"), settings.Set("--set", []string{"token=flag"}))
	if err != nil || got.Token.Reveal() != "flag" {
		t.Errorf("got %q, %v", got.Token.Reveal(), err)
	}
	_, err = settings.Load(small{}, env("APP_TOKEN_FILE=/none/token"))
	if got := mistakes(t, err); len(got) != 1 || got[0] != "APP_TOKEN_FILE: token: the file that it names cannot be read: "+syscall.ENOENT.Error() {
		t.Errorf("got %q", got)
	}
	_, err = settings.Load(small{}, env("APP_TOKEN_FILE="+filepath.Join(dir, "token"), "APP_TOKEN=x"))
	if got := mistakes(t, err); len(got) != 1 || got[0] != "APP_TOKEN_FILE: token: is given by APP_TOKEN already: set the one or the other" {
		t.Errorf("got %q", got)
	}
	tree, err := settings.Open(env("APP_TOKEN_FILE="+filepath.Join(dir, "token"), "APP_OTHER_FILE=x"))
	if err == nil {
		_, err = settings.Decode(tree, struct{ Token string }{}, settings.Shared())
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := mistakes(t, tree.Unclaimed()); len(got) != 1 || !strings.HasPrefix(got[0], "APP_OTHER_FILE") {
		t.Errorf("got %q", got)
	}
	type both struct{ Token, TokenFile string }
	if got, err := settings.Load(both{}, env("APP_TOKEN_FILE=/x")); err != nil || got.TokenFile != "/x" {
		t.Errorf("a setting that is named so goes before: got %+v, %v", got, err)
	}
	_, err = settings.Load(small{}, yamlText("token_file: x"))
	if got := mistakes(t, err); len(got) != 1 || !strings.HasPrefix(got[0], "a.yaml:1:1: token_file: unknown key") {
		t.Errorf("got %q", got)
	}
}

func TestKubernetesServiceVariablesAreLeftAlone(t *testing.T) {
	type layout struct{ Port int }
	env := []string{"MAILER_SERVICE_HOST=10.0.0.1", "MAILER_SERVICE_PORT=80", "MAILER_SERVICE_PORT_HTTP=80", "MAILER_PORT=tcp://10.0.0.1:80",
		"MAILER_PORT_80_TCP=tcp://10.0.0.1:80", "MAILER_PORT_80_TCP_ADDR=10.0.0.1", "MAILER_WEB_SERVICE_HOST=10.0.0.2", "MAILER_WEB_SERVICE_PORT=80", "MAILER_WEB_PORT=tcp://10.0.0.2:80"}
	if got, err := settings.Load(layout{Port: 1}, settings.Environ("MAILER", env)); err != nil || got.Port != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := settings.Load(layout{}, settings.Environ("MAILER", []string{"MAILER_PORT=80"})); err != nil || got.Port != 80 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestFlags(t *testing.T) {
	layout, err := settings.LayoutOf(small{A: "default", List: []string{"x"}, Token: settings.NewSecret("hidden")})
	if err != nil {
		t.Fatal(err)
	}
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	fs.String("other", "", "not a setting")
	layout.Flags(fs)
	var usage strings.Builder
	fs.SetOutput(&usage)
	fs.PrintDefaults()
	if u := usage.String(); strings.Contains(u, "hidden") || !strings.Contains(u, "default") {
		t.Errorf("usage: %s", u)
	}
	if err := fs.Parse([]string{"-a", "flag", "-on", "-n=7", "-list", `["p","q"]`, "-other", "y"}); err != nil {
		t.Fatal(err)
	}
	got, err := settings.Load(small{}, settings.Flags(fs), yamlText("a: file"))
	if err != nil || got.A != "flag" || !got.On || got.N != 7 || !slices.Equal(got.List, []string{"p", "q"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	if err := fs.Parse([]string{"-n=x"}); err != nil {
		t.Fatal(err)
	}
	_, err = settings.Load(small{}, settings.Flags(fs))
	if got := mistakes(t, err); len(got) != 1 || got[0] != `-n: n: expected a whole number, found "x"` {
		t.Errorf("got %q", got)
	}
	_, err = settings.Load(small{}, settings.Set("--set", []string{"m=1", "n", "map.k=v", "lsit=a"}))
	want := []string{"--set: expected dotted.path=value, found n", "--set lsit: lsit: unknown setting; did you mean list?", "--set m: m: unknown setting"}
	if got := mistakes(t, err); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestMergingOfListsAndMaps(t *testing.T) {
	type tagged struct {
		L  []string `merge:"append"`
		R  []string
		M  map[string]string
		MR map[string]string `merge:"replace"`
	}
	low := settings.Bytes("low.yaml", settings.YAML, []byte("{l: [a, b], r: [a, b], m: {x: '1', y: '1'}, mr: {x: '1', y: '1'}}"))
	high := settings.Bytes("high.json", settings.JSON, []byte(`{"l": ["c"], "r": ["c"], "m": {"y": "2"}, "mr": {"y": "2"}}`))
	def := tagged{L: []string{"default"}, M: map[string]string{"d": "0"}, MR: map[string]string{"d": "0"}}
	got, err := settings.Load(def, low, high)
	want := tagged{L: []string{"a", "b", "c"}, R: []string{"c"}, M: map[string]string{"d": "0", "x": "1", "y": "2"}, MR: map[string]string{"y": "2"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	type plain struct {
		L, R  []string
		M, MR map[string]string
	}
	p, err := settings.Load(plain{M: map[string]string{"d": "0"}}, low, high, settings.MergeLists(settings.Append), settings.MergeMaps(settings.Replace))
	if err != nil || !slices.Equal(p.R, []string{"a", "b", "c"}) || !reflect.DeepEqual(p.M, map[string]string{"y": "2"}) {
		t.Errorf("got %+v, %v", p, err)
	}
	p, err = settings.Load(plain{}, low, settings.Environ("APP", []string{"APP_L__1=z", "APP_L__2=new", "APP_M=k=v, k2=w"}))
	if err != nil || !slices.Equal(p.L, []string{"a", "z", "new"}) || p.M["k2"] != "w" || p.M["x"] != "" {
		t.Errorf("got %+v, %v", p, err)
	}
	p, err = settings.Load(plain{R: []string{"d"}}, low, settings.Bytes("n.yaml", settings.YAML, []byte("l: null\nm:\nr: []\n")))
	if err != nil || p.L != nil || p.M != nil || p.R == nil || len(p.R) != 0 {
		t.Errorf("null clears: got %#v, %v", p, err)
	}
	_, err = settings.Load(plain{}, low, settings.Environ("APP", []string{"APP_L__7=z", "APP_R=x", "APP_R__0=y"}))
	if got := mistakes(t, err); len(got) != 2 || !strings.Contains(got[0], "without a gap") || got[1] != "APP_R__0: a part of what APP_R gives whole: set the one or the other" {
		t.Errorf("got %q", got)
	}
}

// chassis.yml was not read; the Python chassis reads both names.
func TestAFileThatEndsInYmlIsNotRead(t *testing.T) {
	type config struct{ A, B int }
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"none":          {nil, "{0 0}"},
		"yaml":          {map[string]string{"chassis.yaml": "a: 1"}, "{1 0}"},
		"yml":           {map[string]string{"chassis.yml": "a: 1"}, "{1 0}"},
		"both":          {map[string]string{"chassis.yaml": "a: 1", "chassis.yml": "a: 1"}, "both DIR/chassis.yaml and DIR/chassis.yml are there"},
		"a profile":     {map[string]string{"chassis.yml": "a: 1", "chassis.prod.yml": "b: 2"}, "{1 2}"},
		"mixed":         {map[string]string{"chassis.yml": "a: 1", "chassis.prod.yaml": "b: 2"}, "{1 2}"},
		"both profiles": {map[string]string{"chassis.yml": "a: 1", "chassis.prod.yaml": "b: 2", "chassis.prod.yml": "b: 2"}, "both DIR/chassis.prod.yaml and DIR/chassis.prod.yml are there"},
	} {
		dir := t.TempDir()
		profile := settings.Profiles()
		for file, text := range c.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(file, "prod") {
				profile = settings.Profiles("prod")
			}
		}
		options := []settings.Option{settings.OptionalYAML(filepath.Join(dir, "chassis")), profile}
		got, err := settings.Load(config{}, options...)
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, strings.ReplaceAll(c.want, "DIR", dir)) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
		files := settings.Files(options...)
		for file := range c.files {
			if !slices.Contains(files, filepath.Join(dir, file)) {
				t.Errorf("%s: %s is not watched: %q", name, file, files)
			}
		}
	}
}
