package settings_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// shelf is a store with what a test puts there.
type shelf struct {
	has   map[string]settings.Found
	mu    sync.Mutex
	asked [][]string
	read  func([]string) []settings.Found // in place of has
}

func (s *shelf) Schemes() []string { return []string{"shelf", "s"} }

func (s *shelf) Read(_ context.Context, addresses []string) []settings.Found {
	s.mu.Lock()
	s.asked = append(s.asked, addresses)
	s.mu.Unlock()
	if s.read != nil {
		return s.read(addresses)
	}
	out := make([]settings.Found, len(addresses))
	for i, a := range addresses {
		found, ok := s.has[a]
		if out[i] = found; !ok {
			out[i].Err = fs.ErrNotExist
		}
	}
	return out
}

func (s *shelf) Watch(ctx context.Context, _ func(error)) { <-ctx.Done() }

func text(version, value string) settings.Found {
	return settings.Found{Version: version, Data: []byte(value)}
}

func inYAML(text string) settings.Option {
	return settings.Bytes("a.yaml", settings.YAML, []byte(text))
}

type stored struct {
	Name  string
	Count int
	Again int
	List  []string `merge:"append"`
	Inner struct {
		A string
		B int
	}
	Any any
}

func TestStoreReferences(t *testing.T) {
	s := &shelf{has: map[string]settings.Found{
		"s:name":  text("v1", ".count"), // a value of a store is no alias
		"s:count": text("v2", "7"),
		"s:ref":   text("v1", "s:count"), // and no reference
		"s:inner": {Version: "v4", Format: settings.JSON, Data: []byte(`{"a": "s:name", "b": 3}`)},
		"s:text":  text("v5", `{"a": "x", "b": 5}`),
		"s:list":  {Version: "v6", List: []string{"a,b", "[c"}},
		"s:under": {Under: map[string]settings.Found{"a": text("v7", "y"), "b": {Address: "s:under/b", Version: "v8", Data: []byte("8")}}},
	}}
	for _, test := range []struct {
		yaml string
		more []settings.Option
		want stored
	}{
		{"name: s:name", nil, stored{Name: ".count"}},
		{"name: s:ref\ncount: shelf:none", []settings.Option{settings.Environ("P", []string{"P_COUNT=1"})},
			stored{Name: "s:count", Count: 1}},
		{"count: s:count\nagain: .count", nil, stored{Count: 7, Again: 7}},
		{"inner: s:inner", nil, stored{Inner: struct {
			A string
			B int
		}{"s:name", 3}}},
		{"inner: s:text", []settings.Option{settings.Environ("P", []string{"P_INNER__B=s:count"})}, stored{Inner: struct {
			A string
			B int
		}{"x", 7}}},
		{"inner: s:under", nil, stored{Inner: struct {
			A string
			B int
		}{"y", 8}}},
		{"list: s:list", nil, stored{List: []string{"a,b", "[c"}}},
		{"list: ['s:count']", []settings.Option{settings.Bytes("b.yaml", settings.YAML, []byte("list: ['s:ref', x]")),
			settings.MergeLists(settings.Append)}, stored{List: []string{"7", "s:count", "x"}}},
		{"any: {deep: ['s:count', 's::x', 'other:x', 's:']}", nil,
			stored{Any: map[string]any{"deep": []any{"7", "s:x", "other:x", "s:"}}}},
	} {
		got, err := settings.Load(stored{}, append([]settings.Option{inYAML(test.yaml), settings.From(s)}, test.more...)...)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: got %+v %v, want %+v", test.yaml, got, err, test.want)
		}
	}
}

// One question a load, each address once, and none for what a stronger source hides.
func TestStoreQuestions(t *testing.T) {
	s := &shelf{has: map[string]settings.Found{"s:a": text("", "1"), "s:b": text("", "2")}}
	_, err := settings.Load(stored{}, inYAML("count: s:a\nagain: s:a\nname: s:b\nlist: ['s:c']\ninner: {b: s:d}"),
		settings.From(s), settings.Environ("P", []string{"P_LIST=x", "P_INNER__B=3"}))
	if err != nil {
		t.Error(err)
	}
	if len(s.asked) != 1 || len(s.asked[0]) != 2 {
		t.Error(s.asked)
	}
	_, err = settings.Load(stored{}, inYAML("list: [{x: ['s:c']}]"), settings.From(s), // not taken as the text s:c
		settings.Bytes("b.yaml", settings.YAML, []byte("list: [x]")))
	if err == nil || !strings.Contains(err.Error(), "a.yaml:1:13: list: refers to a store from a list that another source adds to") {
		t.Error(err)
	}
}

func TestStoreSources(t *testing.T) {
	s := &shelf{has: map[string]settings.Found{
		"s:doc":   {Version: "12", Format: settings.TOML, Data: []byte("name = 's:n'\n[inner]\nb = 1\n")},
		"s:n":     text("v1", "nn"),
		"s:under": {Under: map[string]settings.Found{"count": text("v1", "4"), "inner.b": text("v1", "5")}},
	}}
	layout, err := settings.LayoutOf(stored{})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := settings.Open(settings.From(s, "s:doc", "s:under"), settings.FromOptional(s, "s:none"), inYAML("count: 6"))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := layout.ExplainTree(tree)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, e := range entries {
		got[e.Path] = e.Value + " " + e.Source.String()
		for _, w := range e.Shadowed {
			got[e.Path] += " over " + w.Value + " " + w.Source.String()
		}
	}
	want := map[string]string{"name": "nn s:n v1: s:doc 12:1:8", "count": "6 a.yaml:1:8 over 4 s:under v1",
		"inner.b": "5 s:under v1 over 1 s:doc 12:3:5"}
	for path, text := range want {
		if got[path] != text {
			t.Errorf("%s: got %q, want %q", path, got[path], text)
		}
	}
	given := tree.Given()
	for _, paths := range given {
		slices.Sort(paths)
	}
	if !reflect.DeepEqual(given, map[string][]string{"s:doc": {"inner.b", "name"}, "s:under": {"count", "inner.b"}, "a.yaml": {"count"}}) {
		t.Error(given)
	}
	if !maps.Equal(tree.Stored(), map[string]string{"s:doc": "12", "s:under": "v1"}) {
		t.Error(tree.Stored())
	}
	pos, _ := tree.Position("name")
	if b, _ := json.Marshal(pos); string(b) != `{"file":"s:n","version":"v1","name":"s:doc 12:1:8"}` {
		t.Errorf("%s", b)
	}
	if n := len(settings.Stores(settings.From(s), settings.From(s, "s:a"))); n != 1 {
		t.Errorf("%d stores", n)
	}
}

func TestStoreMistakes(t *testing.T) {
	s := &shelf{has: map[string]settings.Found{
		"s:many":   text("v3", "many"),
		"s:secret": {Version: "v4", Secret: true, Data: []byte("hush")},
		"s:latin":  text("v1", "\xff"),
		"s:single": text("v1", "x"),
		"s:bad":    {Version: "v9", Format: settings.JSON, Data: []byte(`{"name": `)},
		"s:both":   {Under: map[string]settings.Found{"inner": text("v1", "x"), "inner.a": text("v1", "x")}},
		"s:obj":    text("v2", `{"c": 1}`),
		"s:json":   {Version: "v3", Format: settings.JSON, Data: []byte(`{ "c": 1}`)},
		"s:down":   {Err: errors.New("no network")},
		"s:deep":   {Under: map[string]settings.Found{"count": {Address: "s:deep/count", Err: errors.New("broken")}}},
	}}
	from := func(addresses ...string) []settings.Option { return []settings.Option{settings.From(s, addresses...)} }
	for _, test := range []struct {
		options []settings.Option
		want    string
	}{
		{append(from(), inYAML("count: s:many")), `s:many v3: a.yaml:1:8: count: expected a whole number, found "many"`},
		{append(from(), inYAML("count: s:secret")), `s:secret v4: a.yaml:1:8: count: expected a whole number, found a value that is not shown`},
		{append(from(), inYAML("name: s:latin")), `s:latin v1:1:1: expected UTF-8 text`},
		{append(from(), inYAML("count: s:none")), `a.yaml:1:8: count: s:none: file does not exist`},
		{append(from(), inYAML("naem: s:single")), `a.yaml:1:1: naem: unknown key; did you mean name?`},
		{append(from(), inYAML("inner: s:obj")), `s:obj v2: a.yaml:1:8: inner.c: unknown key in inner; known are a, b`},
		{append(from(), inYAML("inner: s:json")), `s:json v3:1:3: a.yaml:1:8: inner.c: unknown key in inner`},
		{from("s:single"), `s:single v1: is a single value, and a source has sections`},
		{from("s:bad"), `s:bad v9:1:10: the file ends too early`},
		{from("s:both"), `s:both v1: inner.a: is a single value and a section at the same time`},
		{from("s:down"), `s:down: no network`},
		{from("s:none"), `s:none: file does not exist`},
		{from("s:deep"), `s:deep/count: broken`},
	} {
		_, err := settings.Load(stored{}, test.options...)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
	for _, read := range []func([]string) []settings.Found{
		func([]string) []settings.Found { panic("oh") },
		func([]string) []settings.Found { return nil },
	} {
		s.read = read
		_, err := settings.Load(stored{}, settings.From(s), inYAML("count: s:a"))
		if err == nil || !strings.Contains(err.Error(), "a.yaml:1:8: count: s:a: the store") {
			t.Error(err)
		}
	}
}

// A secret of a store is hidden wherever it comes to stand.
func TestStoreSecrets(t *testing.T) {
	hush := settings.Found{Version: "v1", Secret: true, Data: []byte("HUSH")}
	s := &shelf{has: map[string]settings.Found{"s:hush": hush, "s:list": {Secret: true, List: []string{"HUSH"}},
		"s:obj": {Secret: true, Data: []byte(`{"a": "HUSH", "b": "HUSH"}`)}}}
	layout, err := settings.LayoutOf(stored{})
	if err != nil {
		t.Fatal(err)
	}
	tree, err := settings.Open(settings.From(s), inYAML("name: s:hush\nlist: s:list\nany: [.name]\ninner: {a: x}"),
		settings.Bytes("b.yaml", settings.YAML, []byte("list: ['plain']\ninner: {a: s:hush}")),
		settings.Bytes("c.yaml", settings.YAML, []byte("inner: {a: plain}")))
	if err != nil {
		t.Fatal(err)
	}
	entries, err := layout.ExplainTree(tree)
	if b, _ := json.Marshal(entries); err != nil || strings.Contains(string(b), "HUSH") {
		t.Errorf("%s %v", b, err)
	}
	if got := tree.Secrets(); !slices.Equal(got, []string{"name", "any.0"}) && !slices.Equal(got, []string{"name", "list.0", "any.0"}) {
		t.Error(got)
	}
	old, next := stored{Name: "HUSH"}, stored{Name: "HUSH2", Count: 1, List: []string{"HUSH"}}
	changes := settings.HideChanges(settings.Diff(old, next), []string{"name", "list.0"})
	for _, c := range changes {
		if strings.Contains(c.Old+c.New, "HUSH") {
			t.Errorf("%+v", c)
		}
	}
	if len(changes) != 3 || changes[1].New != "1" {
		t.Errorf("%+v", changes)
	}
	_, err = settings.Load(stored{}, settings.From(s), inYAML("inner: s:obj\ncount: .name\nagain: s:obj"))
	if err == nil || strings.Contains(err.Error(), "HUSH") || len(settings.Mistakes(err)) != 3 {
		t.Error(err)
	}
}

// FuzzStore: a store may give anything; no answer is a panic, and no message has a secret.
func FuzzStore(f *testing.F) {
	f.Add([]byte(`{"name":"x"}`), uint8(0), "inner.a")
	f.Add([]byte("name: [a"), uint8(1), "..")
	f.Add([]byte("\xffHUSH"), uint8(5), "")
	f.Fuzz(func(t *testing.T, data []byte, format uint8, path string) {
		kind := settings.Format(format % 5)
		// The secret is a value. The names of a secret's keys are shown, for a mistake in one needs them.
		before := map[settings.Format]string{settings.YAML: "name: ", settings.TOML: `name = "`, settings.JSON: `{"name": "`}[kind]
		secret := settings.Found{Version: "v1", Secret: true, Format: kind, Data: append([]byte(before+"HUSH"), data...)}
		plain := settings.Found{Format: kind, Data: data}
		s := &shelf{has: map[string]settings.Found{"s:plain": plain, "s:secret": secret,
			"s:under": {Under: map[string]settings.Found{path: plain, "count": secret, path + ".x": secret}}}}
		for _, sources := range [][]settings.Option{
			{settings.From(s, "s:plain")}, {settings.From(s, "s:under")}, {settings.From(s, "s:secret")},
			{settings.From(s), inYAML("name: s:plain\ncount: s:secret\nlist: s:secret\ninner: s:plain\nany: s:under")},
		} {
			_, err := settings.Load(stored{}, sources...)
			if err != nil && strings.Contains(err.Error(), "HUSH") && !strings.Contains(path+string(data), "HUSH") {
				t.Fatal(err)
			}
		}
	})
}
