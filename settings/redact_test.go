package settings_test

import (
	"flag"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestThePasswordOfAURLIsShown(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "",
		"http://a.internal/x@y":           "http://a.internal/x@y",
		"http://a.internal:8080/x@y":      "http://a.internal:8080/x@y",
		"http://[::1]:8080/x@y":           "http://[::1]:8080/x@y",
		"a@b.org, see http://a:80":        "a@b.org, see http://a:80",
		"https://key@sentry.io/1":         "https://key@sentry.io/1",
		"http://u:p@h/x":                  "http://u:xxxxx@h/x",
		"http://u:@h/x":                   "http://u:@h/x",
		"http://:p@h":                     "http://:xxxxx@h",
		"http://u:p@ss@h/x":               "http://u:xxxxx@h/x",
		"http://u:p/q@h/x":                "http://u:xxxxx@h/x",
		"http://u:p@127.0.0.1:x/":         "http://u:xxxxx@127.0.0.1:x/",
		"amqp://u:p@a,amqp://u:q@b":       "amqp://u:xxxxx@a,amqp://u:xxxxx@b",
		`got "http://u:p@h" and x@y:z`:    `got "http://u:xxxxx@h" and x@y:z`,
		"jdbc:postgresql://u:p@h:5432/db": "jdbc:postgresql://u:xxxxx@h:5432/db",
	} {
		if got := settings.Redacted(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// TestAURLWithAPasswordIsShownNowhere puts one everywhere and looks at all that
// is shown of it.
func TestAURLWithAPasswordIsShownNowhere(t *testing.T) {
	type inner struct{ URL string }
	type config struct {
		Text  string `rule:"max=20"`
		Other string
		URL   url.URL
		Ptr   *url.URL
		List  []string
		Map   map[string]string
		Any   any
		Parts map[string]inner
		Count int
	}
	const secret, long = "hunter2", "http://probe:hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2@h/"
	const u = "http://probe:hunter2@127.0.0.1:1/health"
	def := config{Other: u, List: []string{u}}
	layout, err := settings.LayoutOf(def)
	if err != nil {
		t.Fatal(err)
	}
	good := settings.Bytes("a.yaml", settings.YAML, fmt.Appendf(nil, `{url: %q, ptr: %q, list: [%q], map: {a: %q, %q: b}, any: [%q], parts: {p: {url: %q}}}`, u, u, u, u, u, u, u))
	over := settings.Environ("A", []string{"A_LIST=" + u + "," + u, "A_URL=" + u})
	loaded, err := settings.Load(def, good, over)
	if err != nil || loaded.List[0] != u || loaded.URL.String() != u {
		t.Fatalf("the service itself gets %+v, %v", loaded, err)
	}
	shown := map[string]string{}
	entries, err := layout.Explain(good, over)
	shown["explain"] = fmt.Sprintf("%+v %v", entries, err)
	var text strings.Builder
	if err := settings.WriteExplain(&text, entries); err != nil {
		t.Fatal(err)
	}
	shown["explain for people"] = text.String()
	shown["changes"] = fmt.Sprintf("%+v", settings.Diff(config{}, loaded))
	shown["changes back"] = fmt.Sprintf("%+v", settings.Diff(loaded, config{}))
	for _, bad := range []string{
		"{text: %q}", "{count: %q}", "{url: [%q]}", "{url: {%q: 1}}", "{%q: 1}", "{parts: {%q: {url: 1, x: 2}}}", "{parts: {p: %q}}", "{list: {a: %q}}", "{url: %q}",
	} {
		for _, value := range []string{u, long, "http://probe:hunter2@127.0.0.1:x/"} {
			_, err := settings.Load(def, settings.Bytes("a.yaml", settings.YAML, fmt.Appendf(nil, bad, value)))
			shown["the error of "+bad] += fmt.Sprint(err)
		}
	}
	for _, format := range []settings.Format{settings.YAML, settings.ENV} {
		example, err := layout.Example(format, "A")
		shown["the example in "+format.String()] = fmt.Sprintf("%s %v", example, err)
	}
	shown["schema"], shown["reference"] = string(layout.Schema()), string(layout.Reference("A"))
	fs := flag.NewFlagSet("x", flag.ContinueOnError)
	layout.Flags(fs)
	var usage strings.Builder
	fs.SetOutput(&usage)
	fs.PrintDefaults()
	shown["flags"] = usage.String()
	for where, text := range shown {
		if i := strings.Index(text, secret); i >= 0 {
			t.Errorf("%s shows the password: …%s…", where, text[max(0, i-80):min(len(text), i+30)])
		}
	}
}

// A URL with another password alone has changed.
func TestAPasswordOfAURLThatChangesIsAChange(t *testing.T) {
	type config struct{ URL *url.URL }
	at := func(text string) config {
		u, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return config{u}
	}
	if c := settings.Diff(at("http://u:p@h"), at("http://u:q@h")); len(c) != 1 {
		t.Errorf("changes: %+v", c)
	}
}
