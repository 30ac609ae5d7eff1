package settings_test

import (
	"fmt"
	"testing"

	"github.com/sambatech/chassis/settings"
)

// A section that comes or goes was shown as Go prints a struct.
func TestASectionThatComesIsABareStruct(t *testing.T) {
	type part struct {
		Low   int
		Name  string
		On    bool
		Zeros string `key:"-" zeros:"true"`
	}
	type config struct {
		Parts map[string]part `live:"true"`
		One   *part
	}
	for _, c := range []struct {
		old, new config
		want     string
	}{
		{config{}, config{Parts: map[string]part{"a.b": {Low: 1}}}, `[{parts."a.b".low  1 true}]`},
		{config{Parts: map[string]part{"a": {Name: "x", Zeros: "on"}}}, config{}, "[{parts.a.name x  true} {parts.a.on false  true}]"},
		{config{}, config{Parts: map[string]part{"a": {}}}, "[{parts.a  {} true}]"},
		{config{Parts: map[string]part{"a": {}}}, config{Parts: map[string]part{"a": {Zeros: "on,low"}}}, "[{parts.a.low  0 true} {parts.a.on  false true}]"},
		{config{Parts: map[string]part{"a": {Zeros: "low"}}}, config{Parts: map[string]part{"a": {Low: 1}}}, "[{parts.a.low 0 1 true}]"},
		{config{}, config{One: &part{Low: 1}}, "[{one.low  1 false}]"},
		{config{One: &part{Low: 1}}, config{}, "[{one.low 1  false}]"},
	} {
		if got := fmt.Sprint(settings.Diff(c.old, c.new)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}
