package settings_test

import (
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

func TestAValueIsReachedByADottedPath(t *testing.T) {
	layout := items(t,
		settings.Item{Name: "tasks.workers", Default: 3},
		settings.Item{Name: "tasks.timeout", Default: 5 * time.Second},
		settings.Item{Name: "recipients", Default: []string(nil)},
		settings.Item{Name: "any", Default: nil},
		settings.Item{Name: "token", Default: settings.NewSecret("x")},
	)
	v, err := layout.Load(yamlText("tasks: {workers: 7}\nrecipients: [a, b]\nany: {x: [1, {y: z}]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{
		"tasks.workers": 7, "recipients.1": "b", "any.x.1.y": "z", "any.x.0": int64(1), "tasks.timeout": 5 * time.Second,
	} {
		if got, err := v.Get(path); err != nil || got != want {
			t.Errorf("%s: got %v, %v", path, got, err)
		}
	}
	if got, err := settings.Get[int64](v, "tasks.workers"); err != nil || got != 7 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := settings.Get[map[string]any](v, "tasks"); err != nil || got["workers"] != 7 {
		t.Errorf("got %v, %v", got, err)
	}
	if got, err := settings.Get[settings.Secret[string]](v, "token"); err != nil || got.Reveal() != "x" {
		t.Errorf("got %v, %v", got, err)
	}
	for path, want := range map[string]string{
		"tasks.worker": "did you mean tasks.workers?", "recipients.2": "is a list of 2", "recipients.-1": "is a list of 2", "tasks.workers.x": "is a single value",
		"": "an empty path", "a..b": "empty name", "any.x.1.q": "has no entry q",
	} {
		if _, err := v.Get(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", path, err)
		}
	}
	if _, err := settings.Get[string](v, "token"); err == nil || !strings.Contains(err.Error(), "Reveal") {
		t.Errorf("got %v", err)
	}
	if _, err := settings.Get[bool](v, "tasks.workers"); err == nil || !strings.Contains(err.Error(), "is a int, not a bool") {
		t.Errorf("got %v", err)
	}
}

func TestGetRefusesANumberAsADuration(t *testing.T) {
	v, err := items(t, settings.Item{Name: "n", Default: 30}, settings.Item{Name: "d", Default: 30 * time.Second}).Load()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := settings.Get[time.Duration](v, "n"); err == nil {
		t.Errorf("thirty of what? got %v", got)
	}
	if got, err := settings.Get[time.Duration](v, "d"); err != nil || got != 30*time.Second {
		t.Errorf("got %v, %v", got, err)
	}
}
