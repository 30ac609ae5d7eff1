package settings_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestNamedEntriesOneOfThemTheDefault(t *testing.T) {
	layout := items(t, settings.Item{Name: "rate", Default: 1})
	var ledger settings.Ledger
	if _, err := ledger.Default(); err == nil {
		t.Error("an empty ledger gave an entry")
	}
	for entry, text := range map[string]string{settings.DefaultEntry: "rate: 2", "acme": "rate: 3"} {
		if err := ledger.Load(entry, layout, yamlText(text)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := ledger.Default()
	if err != nil {
		t.Fatal(err)
	}
	acme, err := ledger.Entry("acme")
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := settings.Get[int](d, "rate"); a != 2 {
		t.Errorf("default: got %d", a)
	}
	if a, _ := settings.Get[int](acme, "rate"); a != 3 {
		t.Errorf("acme: got %d", a)
	}
	if _, err := ledger.Entry("acne"); err == nil || !strings.Contains(err.Error(), "did you mean acme?") {
		t.Errorf("got %v", err)
	}
	if got := ledger.Names(); !slices.Equal(got, []string{"acme", "default"}) {
		t.Errorf("got %q", got)
	}
}
