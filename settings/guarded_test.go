package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

type nervous struct {
	Batch int `key:"batch"`
}

func (n *nervous) Validate() error {
	if n.Batch > 10 {
		m := map[string]any{}
		m["self"] = m
		panic(m)
	}
	return nil
}

type textual struct{ text string }

func (t *textual) UnmarshalText(b []byte) error {
	t.text = string(b[:100]) // out of range
	return nil
}

// A panic in a Validate or UnmarshalText of the service's own came through Load,
// and through the goroutine that reads a changed file while the service runs: the
// save of a file ended the process (like knadh/koanf#379).
func TestAPanicOfTheServicesOwnValidationEndedTheProcess(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "app.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	_, err := settings.Load(nervous{}, settings.File(write("batch: 11\n")))
	if err == nil || !strings.Contains(err.Error(), "Validate panicked") {
		t.Errorf("Validate: %v", err)
	}
	_, err = settings.Load(struct {
		Of textual `key:"of"`
	}{}, settings.File(write("of: short\n")))
	if err == nil || !strings.Contains(err.Error(), "UnmarshalText panicked") {
		t.Errorf("UnmarshalText: %v", err)
	}
}
