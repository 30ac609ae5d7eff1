package settings_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sambatech/chassis/settings"
)

// anyLayout is a layout of random items: every type with rules that fit it,
// some required, some in sections, with odd names.
func anyLayout(t *rapid.T) (*settings.Layout, []settings.Item) {
	kinds := []func(*rapid.T, *settings.Item){
		func(t *rapid.T, i *settings.Item) {
			i.Default, i.Rules = rapid.String().Draw(t, "s"), rapid.SampledFrom([]string{"", "zero,nonempty", "max=1000"}).Draw(t, "r")
		},
		func(t *rapid.T, i *settings.Item) { i.Default, i.Rules = "b", "oneof=a|b|c d" },
		func(t *rapid.T, i *settings.Item) { i.Type, i.Rules = reflect.TypeFor[string](), "min=3,max=5,lower" },
		func(t *rapid.T, i *settings.Item) {
			i.Type, i.Rules = reflect.TypeFor[string](), "match=[a-f]{2}-(x|y)[0-9]+, z?"
		},
		func(t *rapid.T, i *settings.Item) { i.Type, i.Rules = reflect.TypeFor[string](), "url" },
		func(t *rapid.T, i *settings.Item) { i.Type, i.Rules = reflect.TypeFor[string](), "hostport" },
		func(t *rapid.T, i *settings.Item) { i.Default = rapid.Int().Draw(t, "i") },
		func(t *rapid.T, i *settings.Item) {
			i.Default, i.Rules = rapid.Uint16Range(1, 65535).Draw(t, "u"), "port"
		},
		func(t *rapid.T, i *settings.Item) { i.Type, i.Rules = reflect.TypeFor[int8](), "min=-5,max=-2" },
		func(t *rapid.T, i *settings.Item) { i.Default = rapid.Float64().Draw(t, "f") },
		func(t *rapid.T, i *settings.Item) { i.Default = rapid.Bool().Draw(t, "b") },
		func(t *rapid.T, i *settings.Item) { i.Default = time.Duration(rapid.Int64().Draw(t, "d")) },
		func(t *rapid.T, i *settings.Item) {
			i.Type, i.Rules = reflect.TypeFor[time.Duration](), "min=250ms,max=2m"
		},
		func(t *rapid.T, i *settings.Item) {
			i.Default = time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "t"), 0).UTC()
		},
		func(t *rapid.T, i *settings.Item) { i.Default = rapid.SliceOf(rapid.String()).Draw(t, "list") },
		func(t *rapid.T, i *settings.Item) {
			i.Type, i.Rules = reflect.TypeFor[[]string](), "min=2,each,upper,nonempty"
		},
		func(t *rapid.T, i *settings.Item) {
			i.Default = rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "map")
		},
		func(t *rapid.T, i *settings.Item) {
			i.Default = rapid.SliceOf(rapid.SliceOf(rapid.Float32())).Draw(t, "lists")
		},
		func(t *rapid.T, i *settings.Item) { i.Default = settings.NewSecret(rapid.String().Draw(t, "secret")) },
		func(t *rapid.T, i *settings.Item) { i.Type = reflect.TypeFor[settings.Secret[int]]() },
		func(t *rapid.T, i *settings.Item) { i.Default = new(rapid.Int().Draw(t, "p")) },
		func(t *rapid.T, i *settings.Item) { i.Default = (*string)(nil) },
		func(t *rapid.T, i *settings.Item) { i.Default = (*regexp.Regexp)(nil) },
	}
	var items []settings.Item
	n := rapid.IntRange(1, 8).Draw(t, "n")
	for i := range n {
		item := settings.Item{Name: fmt.Sprintf("%s_%d", rapid.SampledFrom([]string{"a", "sec.b", "sec.c", `"odd key"`, `sec."x.y"`, "Über"}).Draw(t, "name"), i), Doc: rapid.SampledFrom([]string{"", "what it is", "two\nlines # and | more"}).Draw(t, "doc")}
		if strings.HasSuffix(item.Name, fmt.Sprintf("\"_%d", i)) {
			item.Name = strings.TrimSuffix(item.Name, fmt.Sprintf("\"_%d", i)) + fmt.Sprintf(" %d\"", i)
		}
		rapid.SampledFrom(kinds).Draw(t, "kind")(t, &item)
		items = append(items, item)
	}
	layout, err := settings.NewLayout(items...)
	if err != nil {
		t.Fatalf("%v\n%+v", err, items)
	}
	return layout, items
}

var commentedOut = regexp.MustCompile(`(?m)^( *)#([^ #\n].*[:=] ?)([^ \n].*)$`)

// uncommented is an example with every line in force that shows a value.
func uncommented(text []byte) string { return commentedOut.ReplaceAllString(string(text), "$1$2$3") }

// onlyUnfilled reports whether all mistakes are about values that must be given and that an example leaves empty.
func onlyUnfilled(err error) bool {
	return !slices.ContainsFunc(settings.Mistakes(err), func(e *settings.Error) bool {
		return e.Kind != settings.KindRequired && !strings.Contains(e.Problem, "found nothing (null)") && !strings.Contains(e.Problem, "found 0 elements") && !strings.Contains(e.Problem, "its default")
	})
}

func loadExample(t *rapid.T, layout *settings.Layout, format settings.Format, text string) (*settings.Values, error) {
	if format != settings.ENV {
		return layout.Load(settings.Bytes("example", format, []byte(text)))
	}
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return layout.Load(settings.DotEnv("APP", filepath.Join(dir, ".env")))
}

func TestExampleLoadsOnceItIsFilledIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		layout, items := anyLayout(t)
		given := []string{}
		for _, item := range items {
			if item.Default == nil {
				given = append(given, item.Name)
			}
		}
		for _, format := range []settings.Format{settings.YAML, settings.ENV} {
			text, err := layout.Example(format, "APP")
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range []string{string(text), uncommented(text)} {
				values, err := loadExample(t, layout, format, s)
				if !onlyUnfilled(err) || (err == nil) != (len(given) == 0) || len(settings.Mistakes(err)) != len(given) {
					t.Fatalf("%s: %v, want mistakes about %q\n%s", format, err, given, s)
				}
				if err != nil {
					continue
				}
				for _, item := range items {
					if item.Default == nil {
						continue
					}
					got, err := values.Get(item.Name)
					if err != nil {
						t.Fatal(err)
					}
					if w := reflect.ValueOf(item.Default); w.Kind() == reflect.Slice || w.Kind() == reflect.Map {
						if w.Len() == 0 && reflect.ValueOf(got).Len() == 0 {
							continue
						}
					}
					if !reflect.DeepEqual(got, item.Default) && fmt.Sprint(got) != fmt.Sprint(item.Default) {
						t.Fatalf("%s: %s: got %#v, want %#v\n%s", format, item.Name, got, item.Default, s)
					}
				}
			}
		}
	})
}

func TestExamplesOfStructsLoad(t *testing.T) {
	for name, v := range map[string]any{"service": defaults(), "empty service": service{}, "vault": vault{}, "chassis": chassisDefaults(), "bare": chassisLayout{}} {
		layout, err := settings.LayoutOf(v)
		if err != nil {
			t.Fatal(err)
		}
		for _, format := range []settings.Format{settings.YAML, settings.ENV} {
			text, err := layout.Example(format, "APP")
			if err != nil {
				t.Fatal(err)
			}
			texts := []string{string(text), uncommented(text)}
			if name == "service" || name == "empty service" {
				texts = texts[:1] // a section that is left out by default stays commented out, but not what it holds
			}
			for _, s := range texts {
				path := filepath.Join(t.TempDir(), ".env")
				source := settings.Bytes("example", format, []byte(s))
				if format == settings.ENV {
					write(t, path, s)
					source = settings.DotEnv("APP", path)
				}
				if err := layout.Check(source); !onlyUnfilled(err) {
					t.Errorf("%s as %s: %v\n%s", name, format, err, s)
				}
			}
		}
	}
}

// A format without comments has no example.
func TestExampleInAnotherFormat(t *testing.T) {
	layout, err := settings.LayoutOf(defaults())
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []settings.Format{settings.JSON, settings.TOML, 9} {
		if text, err := layout.Example(format, "APP"); err == nil {
			t.Errorf("%s: %s", format, text)
		}
	}
	if text, err := layout.Example(settings.ENV, ""); err == nil {
		t.Errorf("variables without a prefix: %s", text)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A default that looks like an alias is written as a literal.
func TestExampleWritesADottedDefaultAsALiteral(t *testing.T) {
	layout, err := settings.NewLayout(settings.Item{Name: "a", Default: ".."}, settings.Item{Name: "b", Default: ".a"},
		settings.Item{Name: "c", Default: []string{".a", "."}}, settings.Item{Name: "d", Default: map[string]string{".a": ".b"}},
		settings.Item{Name: "e", Default: []string{"../x", "./x", "..x"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []settings.Format{settings.YAML} {
		text, err := layout.Example(format, "")
		if err != nil {
			t.Fatal(err)
		}
		values, err := layout.Load(settings.Bytes("example", format, []byte(uncommented(text))))
		if err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]any{"a": "..", "b": ".a", "c": []string{".a", "."}, "d": map[string]string{".a": ".b"}, "e": []string{"../x", "./x", "..x"}} {
			if got, err := values.Get(name); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s is %q, %v; want %q", format, name, got, err, want)
			}
		}
	}
}

func TestAMapOfAVariableIsExplained(t *testing.T) {
	type layout struct{ Labels map[string]string }
	l, err := settings.LayoutOf(layout{Labels: map[string]string{"d": "0"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"a=b", `{"a": "b"}`} {
		entries, err := l.Explain(settings.Environ("APP", []string{"APP_LABELS=" + text}))
		if err != nil || len(entries) != 2 || entries[0].Source.Name != "APP_LABELS" || entries[0].Default || !entries[1].Default {
			t.Errorf("%s: got %+v, %v", text, entries, err)
		}
	}
}
