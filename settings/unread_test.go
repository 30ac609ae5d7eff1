package settings_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// A reference to a store that is not read is no mistake, whatever the type of its setting; a misspelled key is one
// all the same, and so is what refers to no store.
func TestUnread(t *testing.T) {
	type layout struct {
		Workers int
		Name    string
		Limits  struct{ Rate float64 }
	}
	read := func(yaml string) (*settings.Unread, error) {
		store := settings.NewUnread("ssm", "vault")
		_, err := settings.Load(layout{}, settings.Bytes("a.yaml", settings.YAML, []byte(yaml)), settings.From(store))
		return store, err
	}
	store, err := read("workers: ssm:/w\nname: vault:n\nlimits: ssm:/limits\n")
	if err != nil {
		t.Error(err)
	}
	got := store.Addresses()
	slices.Sort(got)
	if !slices.Equal(got, []string{"ssm:/limits", "ssm:/w", "vault:n"}) {
		t.Errorf("the references are %q", got)
	}
	if _, err := read("workers: other:/w\nnmae: ssm:/n\n"); err == nil ||
		!strings.Contains(err.Error(), "a.yaml:1:10: workers: expected a whole number") ||
		!strings.Contains(err.Error(), "a.yaml:2:1: nmae: unknown key") {
		t.Errorf("the mistakes are %v", err)
	}
	l, err := settings.LayoutOf(layout{Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := l.Explain(settings.Bytes("a.yaml", settings.YAML, []byte("workers: ssm:/w")), settings.From(store))
	if err != nil || entries[0].Value != "ssm:/w" || entries[0].Source.String() != "a.yaml:1:10" {
		t.Errorf("explained as %+v, %v", entries[0], err)
	}
}
