package settings_test

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/settings"
)

func TestALayoutNamesItemsWithDefaultTypeAndRules(t *testing.T) {
	layout := items(t,
		settings.Item{Name: "pool", Type: reflect.TypeFor[string](), Rules: "lower"},
		settings.Item{Name: "timeout", Type: reflect.TypeFor[time.Duration](), Default: "90s", Rules: "min=1s"},
		settings.Item{Name: "even", Default: 2, Check: func(v any) error {
			if v.(int)%2 != 0 {
				return errors.New("must be even")
			}
			return nil
		}},
	)
	v, err := layout.Load(yamlText("pool: x"))
	if err != nil {
		t.Fatal(err)
	}
	if d, err := settings.Get[time.Duration](v, "timeout"); err != nil || d != 90*time.Second {
		t.Errorf("got %v, %v", d, err)
	}
	got := mistakes(t, layout.Check(yamlText("pool: X\ntimeout: 0\neven: 3\n")))
	want := []string{
		`a.yaml:1:7: pool: must be all lower case, found "X"; did you mean x?`,
		`a.yaml:2:10: timeout: must be at least 1s, found 0s`,
		`a.yaml:3:7: even: must be even`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestAnItemWithATypeAndNoDefaultIsRequired(t *testing.T) {
	layout := items(t, settings.Item{Name: "tasks.pool", Type: reflect.TypeFor[string]()})
	got := mistakes(t, layout.Check(yamlText("\ntasks: {}\n"), settings.Environ("APP", []string{})))
	if want := []string{"a.yaml:2:8: tasks.pool: is required (a string) and nothing gives it; it may also be set by APP_TASKS__POOL"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestABadNameOfAnItemIsAnError(t *testing.T) {
	for _, name := range []string{"-", "a.-", `""`, `a."".b`, ""} {
		if _, err := settings.NewLayout(settings.Item{Name: name, Default: 1}); err == nil {
			t.Errorf("%q: no error", name)
		}
	}
}

func TestAnItemsDefaultIsCheckedToo(t *testing.T) {
	layout := items(t, settings.Item{Name: "n", Default: 0, Rules: "min=3"})
	if got := mistakes(t, layout.Check()); len(got) != 1 || got[0] != "default: n: must be at least 3, its default is 0" {
		t.Errorf("got %q", got)
	}
	if _, err := settings.NewLayout(settings.Item{Name: "n", Type: reflect.TypeFor[int](), Default: "many"}); err == nil || !strings.Contains(err.Error(), `its default: expected a whole number, found "many"`) {
		t.Errorf("got %v", err)
	}
}
