package settings_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

func TestATreeGivesRawValuesAndTheirPlaces(t *testing.T) {
	tree, err := settings.Open(yamlText("a:\n  b: [1, 2.5, x, true, null, 2026-01-02]\n  \"c.d\": y\n"), settings.Environ("APP", []string{"APP_E=5"}))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{"a.b.0": int64(1), "a.b.1": 2.5, "a.b.2": "x", "a.b.3": true, "a.b.4": nil, `a."c.d"`: "y", "e": "5", "a.b.5": time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)} {
		if got, err := tree.Get(path); err != nil || got != want {
			t.Errorf("%s: got %v, %v", path, got, err)
		}
	}
	if pos, err := tree.Position("a.b.2"); err != nil || pos.String() != "a.yaml:2:15" {
		t.Errorf("got %v, %v", pos, err)
	}
	if pos, err := tree.Position("e"); err != nil || pos.String() != "APP_E" {
		t.Errorf("got %v, %v", pos, err)
	}
	for path, want := range map[string]string{"a.x": "there is no x in a", "a.b.6": "a.b is a list of 6", "e.f": "e is a single value", "aa": "did you mean a?"} {
		if _, err := tree.Get(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

func TestAMisspeltAliasIsAWarning(t *testing.T) {
	tree, err := settings.Open(yamlText("pool: x\na: .pol\nb: ./data\nc: .hidden\n"))
	if err != nil {
		t.Fatal(err)
	}
	got := tree.Warnings()
	if len(got) != 1 || got[0].Error() != "a.yaml:2:4: the string begins with a dot but names nothing, so it is taken as it is; did you mean .pool?" {
		t.Errorf("got %v", got)
	}
}

func TestASourceThatCannotBeReadLeavesTheRestToBeJudged(t *testing.T) {
	type layout struct {
		Must string `rule:"required"`
		N    int
	}
	broken := settings.Bytes("broken.yaml", settings.YAML, []byte("must: [\n"))
	_, err := settings.Load(layout{}, broken, settings.Bytes("b.yaml", settings.YAML, []byte("n: x\n")))
	want := []string{
		`b.yaml:1:4: n: expected a whole number, found the string "x"`,
		"broken.yaml:1:7: the [ is never closed",
	}
	if got := mistakes(t, err); !slices.Equal(got, want) {
		t.Errorf("what is missing may stand in the broken file: got %q", got)
	}
	tree, err := settings.Open(broken)
	if err == nil || tree == nil {
		t.Fatalf("got %v, %v", tree, err)
	}
	if _, err := settings.Decode(tree, layout{}); err == nil {
		t.Error("a value was given of sources that could not be read")
	}
}

func TestFilesListsWhatIsRead(t *testing.T) {
	dir := files(t, map[string]string{"c.yaml": "", "c.prod.toml": "", ".env": "APP_DB__PASSWORD_FILE=pass\nAPP_KEY_FILE=/run/key\n'"})
	at := func(name string) string { return filepath.Join(dir, name) }
	got := settings.Files(settings.Environ("APP", []string{"APP_TOKEN_FILE=/run/token", "OTHER_FILE=/x"}), settings.DotEnv("APP", at(".env")),
		settings.Profiles("prod", "eu"), settings.File(at("c.yaml")), settings.OptionalFile(at("d.json")))
	want := []string{at("c.yaml"), at("d.json"), at("c.prod.toml"), at("d.prod.json"), at("c.eu.yaml"), at("d.eu.json"), at(".env"), at("pass"), "/run/key", "/run/token"}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestReferenceHasARowASetting(t *testing.T) {
	layout, err := settings.LayoutOf(defaults())
	if err != nil {
		t.Fatal(err)
	}
	text := string(layout.Reference("APP"))
	for _, want := range []string{
		"| `db.timeout` | duration like 90s or 1m30s, must be at least 100ms, must be at most 1m | `1s` | `APP_DB__TIMEOUT` |  |  |",
		"| `db.password` | string, secret |  | `APP_DB__PASSWORD` |  | password |",
		"| `peers.N.host` | string, required | required |  |  |  |",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%s\nis not in\n%s", want, text)
		}
	}
	if strings.Contains(string(layout.Reference("")), "Variable") {
		t.Error("variables without a prefix")
	}
}

func TestAllMistakesOfALayoutAreReported(t *testing.T) {
	type bad struct {
		A int    `rule:"mni=3"`
		B string `rule:"min=x"`
		C chan int
		D int            `key:"a"`
		E []string       `rule:"each,lower,each"`
		F map[string]int `merge:"append"`
		G bool           `rule:"nonempty"`
		h int            `key:"h"`
	}
	_, err := settings.Load(bad{h: 1})
	got := mistakes(t, err)
	for _, want := range []string{"bad.A: there is no rule \"mni\"; did you mean min?", "bad.B: the rule min=x does not fit a string", "chan int: values of this type cannot be read",
		"bad.D: the key a is A's already", "bad.E: the rule each needs", "bad.F: the merge append does not fit", "bad.G: the rule nonempty does not fit a bool", "bad.h: a field with a key must be exported"} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%s\nis not in %s", want, err)
		}
	}
	if _, err := settings.Load(5); err == nil || !strings.Contains(err.Error(), "a layout is a struct, not a int") {
		t.Errorf("got %v", err)
	}
	if _, err := settings.LayoutOf(nil); err == nil {
		t.Error("nil is a layout")
	}
}

var errTooLow = errors.New("below low")

type ranged struct {
	Low, High int
}

func (r ranged) Validate() error {
	if r.Low > r.High {
		return settings.At("high", errTooLow)
	}
	return nil
}

func TestAValidateMethodIsACheckAtItsPlace(t *testing.T) {
	type layout struct{ R ranged }
	_, err := settings.Load(layout{}, yamlText("r:\n  low: 5\n  high: 3\n"))
	if got := mistakes(t, err); len(got) != 1 || got[0] != "a.yaml:3:9: r.high: below low" {
		t.Errorf("got %q", got)
	}
}

// Several errors of a check stand one by one, each with all that is said of it.
func TestErrorsOfACheckKeepTheirTexts(t *testing.T) {
	type layout struct{ R, S int }
	_, err := settings.Load(layout{}, yamlText("r: 1\ns: 2\n"), settings.Check(func(*layout) error {
		two := errors.Join(errors.New("too high"), errors.New("too odd"))
		return errors.Join(settings.At("s", two), fmt.Errorf("the pair: %w", errors.Join(errTooLow)), fmt.Errorf("%w and %w", errTooLow, errTooLow))
	}))
	want := []string{"a.yaml:1:1: the pair: below low", "a.yaml:1:1: below low and below low", "a.yaml:2:4: s: too high", "a.yaml:2:4: s: too odd"}
	got := mistakes(t, err)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A few lines must not ask for gigabytes, by yaml's anchors or by our aliases.
func TestAnchorsAndAliasesThatGrowWithoutEndAreAnError(t *testing.T) {
	type tree struct {
		Value int
		Token settings.Secret[string]
		A, B  *tree
	}
	type layout struct {
		Free    map[string]any
		Secret  settings.Secret[any]
		Typed   tree
		Strings []string
	}
	var anchors, aliases, typed strings.Builder
	anchors.WriteString("free:\n  l0: &l0 [x]\n")
	aliases.WriteString("free:\n  l0: [x]\n")
	typed.WriteString("typed: .free.l40\nfree:\n  l0: {value: 1}\n")
	for i := 1; i <= 40; i++ {
		fmt.Fprintf(&anchors, "  l%d: &l%d [*l%d, *l%d]\n", i, i, i-1, i-1)
		fmt.Fprintf(&aliases, "  l%d: [.free.l%d, .free.l%d]\n", i, i-1, i-1)
		fmt.Fprintf(&typed, "  l%d: {a: .free.l%d, b: .free.l%d}\n", i, i-1, i-1)
	}
	for name, text := range map[string]string{"anchors": anchors.String(), "aliases": aliases.String(), "secret": aliases.String() + "secret: .free\n", "typed": typed.String()} {
		_, err := settings.Load(layout{}, yamlText(text))
		if err == nil || !strings.Contains(err.Error(), "grow to more than") {
			t.Errorf("%s: got %.300v", name, err)
		}
	}
}

func TestATreeIsReadByManyGoroutines(t *testing.T) {
	tree, err := settings.Open(settings.File("testdata/python-settings.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if _, err := settings.Decode(tree, chassisDefaults(), settings.Shared()); err != nil {
					t.Error(err)
				}
				if _, err := tree.Get("first"); err != nil {
					t.Error(err)
				}
				_ = tree.Unclaimed()
			}
		})
	}
	wg.Wait()
}

// A field of type any takes a number that no int64 and no float64 can hold.
func TestALargeNumberOfAnyTypeLosesDigits(t *testing.T) {
	type config struct{ M map[string]any }
	for text, want := range map[string]string{
		"12345678901234567890": "12345678901234567890", "123456789012345678901234567890": "123456789012345678901234567890",
		"-12345678901234567890": "-12345678901234567890", "1E400": "1E400", "9007199254740993": "9007199254740993", "1.5": "1.5",
	} {
		for name, src := range map[string]settings.Option{
			"yaml": settings.Bytes("m.yaml", settings.YAML, []byte("m: {id: "+text+"}\n")),
			"json": settings.Bytes("m.json", settings.JSON, []byte(`{"m": {"id": `+text+`}}`)),
		} {
			c, err := settings.Load(config{}, src)
			if got := fmt.Sprint(c.M["id"]); err != nil || got != want {
				t.Errorf("%s: %s is %T %s, %v", name, text, c.M["id"], got, err)
			}
			if _, isText := c.M["id"].(string); isText {
				t.Errorf("%s: the number %s became a text", name, text)
			}
		}
	}
	type whole struct{ N int64 }
	if c, err := settings.Load(whole{}, settings.Bytes("m.yaml", settings.YAML, []byte("n: 9007199254740993.0\n"))); err != nil || c.N != 9007199254740993 {
		t.Errorf("a whole number with a point: %d, %v", c.N, err)
	}
}
