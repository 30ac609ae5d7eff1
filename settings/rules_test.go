package settings_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

// Zero stood for "not given" where a source had given it.
func TestAnExplicitZeroIsTakenForNothing(t *testing.T) {
	type config struct {
		Wait   time.Duration `rule:"optional,positive"`
		Limit  int           `rule:"optional,min=1"`
		Mode   string        `rule:"optional,oneof=a|b"`
		Linger time.Duration `rule:"optional,nonzero"`
		Free   int
	}
	for text, want := range map[string]string{
		"{}": "", "{wait: 1s, limit: 1, mode: a, linger: -1s, free: 0}": "",
		"{wait: 0}":   "wait: must be above 0, found 0s: leave it out for its default",
		"{limit: 0}":  "limit: must be at least 1, found 0: leave it out for its default",
		`{mode: ""}`:  "mode: must be one of a, b, found \"\": leave it out for its default",
		"{linger: 0}": "linger: must not be 0, found 0s: leave it out for its default",
	} {
		_, err := settings.Load(config{}, settings.Bytes("m.yaml", settings.YAML, []byte(text)))
		if want == "" && err != nil || want != "" && (err == nil || !strings.HasSuffix(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	layout, err := settings.LayoutOf(config{})
	if err != nil {
		t.Fatal(err)
	}
	example, err := layout.Example(settings.YAML, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := layout.Check(settings.Bytes("m.yaml", settings.YAML, []byte(uncommented(example)))); err != nil {
		t.Errorf("the example does not load: %v\n%s", err, example)
	}
	var schema struct {
		Required []string `json:"required"`
	}
	if err := json.Unmarshal(layout.Schema(), &schema); err != nil || len(schema.Required) > 0 {
		t.Errorf("the schema requires %q, %v", schema.Required, err)
	}
}
