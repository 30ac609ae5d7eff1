package settings_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// A file has limits: {EU: 1}; the variable MAIL_LIMITS__EU=2 is to change it for
// one environment. It made a second entry, eu.
func TestAVariableMakesASecondEntryForAnUpperCaseKey(t *testing.T) {
	type limit struct{ Low, High int }
	type config struct {
		Limits map[string]int
		Pairs  map[string]limit
		Deep   map[string]map[string]int
	}
	file := settings.Bytes("m.yaml", settings.YAML, []byte("limits: {EU: 1, us: 1}\npairs: {EU: {low: 1, high: 9}}\ndeep: {A: {B: 1}}\n"))
	for _, c := range []struct{ vars, want string }{
		{"MAIL_LIMITS__EU=2", "map[EU:2 us:1] map[EU:{1 9}] map[A:map[B:1]]"},
		{"MAIL_LIMITS__x45x55=2", "map[EU:2 us:1] map[EU:{1 9}] map[A:map[B:1]]"},
		{"MAIL_LIMITS__US=2", "map[EU:1 us:2] map[EU:{1 9}] map[A:map[B:1]]"},
		{"MAIL_LIMITS__ASIA=2", "map[EU:1 asia:2 us:1] map[EU:{1 9}] map[A:map[B:1]]"},
		{"MAIL_PAIRS__EU__LOW=2", "map[EU:1 us:1] map[EU:{2 9}] map[A:map[B:1]]"},
		{"MAIL_DEEP__A__B=2", "map[EU:1 us:1] map[EU:{1 9}] map[A:map[B:2]]"},
		{`MAIL_LIMITS={"eu":2}`, "map[eu:2] map[EU:{1 9}] map[A:map[B:1]]"},
	} {
		got, err := settings.Load(config{}, file, settings.Environ("MAIL", strings.Split(c.vars, " ")))
		if text := fmt.Sprint(got.Limits, got.Pairs, got.Deep); err != nil || text != c.want {
			t.Errorf("%s: %s, error %v; want %s", c.vars, text, err, c.want)
		}
	}
	got, err := settings.Load(config{Limits: map[string]int{"EU": 1}}, settings.Environ("MAIL", []string{"MAIL_LIMITS__EU=2"}))
	if err != nil || fmt.Sprint(got.Limits) != "map[EU:2]" {
		t.Errorf("the key of a default: %v, error %v", got.Limits, err)
	}
	_, err = settings.Load(config{}, settings.Bytes("m.yaml", settings.YAML, []byte("limits: {EU: 1, Eu: 1}\n")), settings.Environ("MAIL", []string{"MAIL_LIMITS__EU=2"}))
	if err == nil || !strings.Contains(err.Error(), "EU or Eu") || !strings.Contains(err.Error(), "LIMITS__x45x55") {
		t.Errorf("a variable that could be either: %v", err)
	}
	layout, err := settings.LayoutOf(config{})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := layout.Explain(file, settings.Environ("MAIL", []string{"MAIL_LIMITS__EU=2"}))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Path == "limits.EU" && (e.Value != "2" || e.Source.String() != "MAIL_LIMITS__EU" || len(e.Shadowed) != 1 || e.Shadowed[0].Source.Line != 1) {
			t.Errorf("explained as %+v", e)
		}
	}
}
