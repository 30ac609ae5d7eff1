package settings_test

import (
	"fmt"
	"testing"

	"github.com/sambatech/chassis/settings"
)

func TestLiveTakesNothingButWhatMayChange(t *testing.T) {
	type part struct {
		Rate int `live:"true"`
		Name string
	}
	type config struct {
		Whole map[string]part `live:"true"`
		Parts map[string]part
		List  []part
		Array [1]part
		Ptr   *part
		None  *part
		Text  []string
		Deep  struct{ Part part }
	}
	make := func(rate int, name string) config {
		p := part{rate, name}
		c := config{Whole: map[string]part{name: p}, Parts: map[string]part{"p": p, name: p}, List: []part{p}, Array: [1]part{p}, Ptr: &p, Text: []string{name}}
		c.Deep.Part = p
		return c
	}
	old, new := make(1, "old"), make(2, "new")
	new.None = &part{}
	before := fmt.Sprintf("%+v %+v", old, *old.Ptr)
	got := settings.Live(old, new)
	text := fmt.Sprint(got.Whole, got.Parts, got.List, got.Array, *got.Ptr, got.None, got.Text, got.Deep)
	if want := "map[new:{2 new}] map[old:{1 old} p:{2 old}] [{2 old}] [{2 old}] {2 old} <nil> [old] {{2 old}}"; text != want {
		t.Errorf("got %s, want %s", text, want)
	}
	if after := fmt.Sprintf("%+v %+v", old, *old.Ptr); after != before {
		t.Errorf("old was written: %s", after)
	}
	for _, c := range settings.Diff(got, new) {
		if c.Live {
			t.Errorf("%+v was left", c)
		}
	}
}
