package settings_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/sambatech/chassis/settings"
)

const canary = "c4n4ry-5ecr3t"

// outputs is every way that a value is commonly shown.
func outputs(t *testing.T, v any) string {
	t.Helper()
	var b strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%t", "%o", "%5.2s", "% x"} {
		fmt.Fprintf(&b, verb+"\n", v)
		fmt.Fprintf(&b, verb+"\n", []any{v, map[string]any{"k": v}})
		fmt.Fprintf(&b, verb+"\n", fmt.Errorf("wrapped %v", v))
	}
	if raw, err := json.Marshal(v); err == nil {
		b.Write(raw)
	}
	if raw, err := yaml.Marshal(v); err == nil {
		b.Write(raw)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&b, nil), slog.NewJSONHandler(&b, nil)} {
		slog.New(h).Info("m", "v", v, slog.Group("g", "v", v), "list", []any{v})
	}
	var g bytes.Buffer
	if err := gob.NewEncoder(&g).Encode(v); err == nil {
		b.Write(g.Bytes())
	}
	return b.String()
}

func TestASecretIsShownByNothing(t *testing.T) {
	type holder struct {
		Token  settings.Secret[string]
		hidden settings.Secret[string]
		Bytes  settings.Secret[[]byte]
		Ptr    *settings.Secret[string]
		Many   []settings.Secret[string]
		ByName map[string]settings.Secret[string]
	}
	s := settings.NewSecret(canary)
	h := holder{s, s, settings.NewSecret([]byte(canary)), &s, []settings.Secret[string]{s}, map[string]settings.Secret[string]{"k": s}}
	for _, v := range []any{s, &s, h, &h, h.Many, h.ByName, h.Bytes} {
		out := outputs(t, v)
		for _, form := range []string{canary, fmt.Sprintf("%x", canary), fmt.Sprintf("%X", canary), fmt.Sprint([]byte(canary))[1:20]} {
			if strings.Contains(out, form) {
				t.Errorf("%T is shown: %s", v, out)
			}
		}
	}
	if got := h.hidden.Reveal(); got != canary {
		t.Errorf("got %q", got)
	}
	if got := fmt.Sprintf("%v %+v %#v %q", s, s, s, s); got != `[secret] [secret] settings.Secret("[secret]") "[secret]"` {
		t.Errorf("got %s", got)
	}
	if got := fmt.Sprint(settings.Secret[string]{}); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestAPrintedSecretIsNotTakenForTheSecret(t *testing.T) {
	_, err := settings.Load(small{}, yamlText("token: '[secret]'"))
	if got := mistakes(t, err); len(got) != 1 || !strings.Contains(got[0], "which is printed in place of a secret") {
		t.Errorf("got %q", got)
	}
}

type vault struct {
	Token    settings.Secret[string]   `rule:"match=[a-z]+"`
	Pin      settings.Secret[int]      `rule:"min=1,max=9"`
	Keys     []settings.Secret[string] `rule:"max=1"`
	ByName   map[string]settings.Secret[string]
	Plain    string `secret:"true" rule:"oneof=a|b"`
	DSN      settings.Secret[struct{ Host, Password string }]
	Name     string `rule:"lower"`
	Count    int
	Deep     struct{ Token settings.Secret[string] }
	Others   []struct{ Token settings.Secret[string] }
	Optional *settings.Secret[string]
}

func TestErrorsAndDescriptionsHideSecrets(t *testing.T) {
	layout, err := settings.LayoutOf(vault{Token: settings.NewSecret(canary), Plain: canary})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"token: " + canary + "\npin: " + canary + "\nkeys: [" + canary + ", " + canary + "]\nby_name: " + canary + "\nplain: " + canary,
		"token: [" + canary + "]\nkeys: " + canary + "\ndsn: " + canary + "\ndeep: " + canary + "\nothers: [" + canary + "]",
		"token: {x: " + canary + "}\ndsn: {hsot: " + canary + ", password: [" + canary + "]}\nothers: [{tokn: " + canary + "}]",
		"deep: {token: " + canary + "}\nname: .deep.token\ncount: .deep.token\ntoken: abc\nplain: a",
		"token: " + canary + "\nname: .token\ncount: .token",
		"tokn: " + canary + "\noptional: [" + canary + "]",
		"token: \"" + canary, "token: {" + canary, "token: &" + canary + " *x", "token: !!int " + canary, "token: \"\\q" + canary + "\"", "token: *" + canary, "token: !" + canary, "token: !!" + canary + " x", "%" + canary + "\n---\ntoken: x", "token: |" + canary, "token: `" + canary, "token: %" + canary, "token: @" + canary,
	} {
		es, err := layout.Explain(yamlText(text), settings.Environ("APP", []string{"APP_PIN=" + canary, "APP_DEEP=" + canary, "APP_BY_NAME=" + canary}))
		if err == nil {
			t.Errorf("%s: no error", text)
		}
		var b strings.Builder
		_ = settings.WriteExplain(&b, es)
		out := outputs(t, err) + b.String() + outputs(t, es)
		if raw, jerr := json.Marshal(settings.Mistakes(err)); jerr == nil {
			out += string(raw)
		}
		if strings.Contains(strings.ToLower(out), canary) {
			t.Errorf("%s\nis shown: %s", text, err)
		}
	}
	out := string(layout.Schema()) + string(layout.Reference("APP"))
	for _, f := range []settings.Format{settings.YAML, settings.ENV} {
		b, err := layout.Example(f, "APP")
		if err != nil {
			t.Error(err)
		}
		out += string(b)
	}
	changes := settings.Diff(vault{}, vault{Token: settings.NewSecret(canary), Plain: canary, ByName: map[string]settings.Secret[string]{"x": settings.NewSecret(canary)}})
	if len(changes) != 3 {
		t.Errorf("got %v", changes)
	}
	out += outputs(t, changes)
	if strings.Contains(out, canary) {
		t.Errorf("is shown: %s", out)
	}
}

func TestASecretIsReadFromEveryPlace(t *testing.T) {
	got, err := settings.Load(vault{}, yamlText("token: abc\npin: 5\nkeys: [k]\nby_name: {x: y}\nplain: a\ndsn: {host: h, password: p}\nothers: [{token: t}]\noptional: o\n"),
		settings.Environ("APP", []string{"APP_DEEP__TOKEN=d"}))
	if err != nil {
		t.Fatal(err)
	}
	all := []string{got.Token.Reveal(), fmt.Sprint(got.Pin.Reveal()), got.Keys[0].Reveal(), got.ByName["x"].Reveal(), got.Plain, got.DSN.Reveal().Password, got.Deep.Token.Reveal(), got.Others[0].Token.Reveal(), got.Optional.Reveal()}
	if want := []string{"abc", "5", "k", "y", "a", "p", "d", "t", "o"}; !reflect.DeepEqual(all, want) {
		t.Errorf("got %q", all)
	}
}

type account struct {
	User, Pass string
	Port       int
	More       map[string]string
}

// What stands below a field that is tagged secret is secret too, however deep
// and from wherever it comes.
func TestASectionThatIsSecretHasNoFieldThatIsShown(t *testing.T) {
	type layout struct {
		DB     account `secret:"true"`
		List   []account
		Many   []account          `secret:"true"`
		ByName map[string]account `secret:"true"`
		Ptr    *account           `secret:"true"`
		Whole  settings.Secret[account]
		Pair   [2]settings.Secret[string]
	}
	good := account{User: canary, Pass: canary, More: map[string]string{"k": canary}}
	def := layout{DB: good, Ptr: &good}
	l, err := settings.LayoutOf(def)
	if err != nil {
		t.Fatal(err)
	}
	const right = "{user: " + canary + ", more: {k: " + canary + "}}"
	const wrong = "{port: " + canary + "}"
	inEach := func(one string) string {
		return fmt.Sprintf("db: %[1]s\nmany: [%[1]s]\nby_name: {k: %[1]s}\nptr: %[1]s\nwhole: %[1]s\n", one)
	}
	for _, option := range []settings.Option{
		yamlText(""), yamlText(inEach(right)), yamlText(inEach(wrong)), yamlText(inEach(canary) + "pair: [" + canary + "]"),
		settings.Environ("A", []string{"A_DB__PORT=" + canary, "A_MANY__0__PORT=" + canary, "A_PTR__USER=" + canary, "A_PAIR=" + canary + ",b,c"}),
		settings.Environ("A", []string{`A_DB={"port":"` + canary + `"}`, `A_MANY=[{"user":"` + canary + `"}]`, `A_WHOLE={"port":"` + canary + `"}`, "A_PTR=" + canary}),
	} {
		entries, err := l.Explain(option)
		var diff []settings.Change
		if v, loadErr := settings.Load(def, option); loadErr == nil {
			diff = append(settings.Diff(layout{}, v), settings.Diff(v, layout{})...)
		}
		if out := fmt.Sprint(entries, err, diff); strings.Contains(out, canary) {
			t.Errorf("it is shown: %s", out)
		}
	}
	out := string(l.Schema()) + string(l.Reference("A"))
	for _, format := range []settings.Format{settings.YAML, settings.ENV} {
		text, err := l.Example(format, "A")
		if err != nil {
			t.Fatal(err)
		}
		out += string(text)
	}
	if strings.Contains(out, canary) {
		t.Errorf("a default is shown: %s", out)
	}
	if entries, _ := l.Explain(yamlText("list: [{user: seen}]")); !strings.Contains(fmt.Sprint(entries), "seen") {
		t.Errorf("the same type elsewhere is no secret: %v", entries)
	}
}

func TestAnAliasOfSecretsIsNotExplained(t *testing.T) {
	type layout struct {
		Tokens []settings.Secret[string]
		DB     struct{ Token settings.Secret[string] }
		List   []string
		Any    any
		Array  [1]string
	}
	l, err := settings.LayoutOf(layout{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := l.Explain(yamlText("tokens: [" + canary + "]\ndb: {token: " + canary + "}\nlist: .tokens\nany: .db\narray: .tokens"))
	if out := fmt.Sprint(entries); err != nil || strings.Contains(out, canary) || len(entries) != 5 {
		t.Errorf("got %v, %s", err, out)
	}
}
