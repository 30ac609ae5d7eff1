package settings_test

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sambatech/chassis/settings"
)

func TestEnvNames(t *testing.T) {
	for want, path := range map[string][]string{
		"CHASSIS_TASKS__WORKERS":     {"tasks", "workers"},
		"CHASSIS_TASKS__MAX_WORKERS": {"tasks", "max_workers"},
		"CHASSIS_A__0__B":            {"a", "0", "b"},
		"CHASSIS_MAXx2dRATE":         {"max-rate"},
		"CHASSIS_MAXx52ATE":          {"maxRate"},
		"CHASSIS_x41":                {"A"},
		"CHASSIS_xx":                 {""},
		"CHASSIS_x5fAx5f_Bx5f":       {"_a__b_"},
	} {
		if got := settings.EnvName("CHASSIS", path...); got != want {
			t.Errorf("%q: got %s, want %s", path, got, want)
		}
	}
	for _, no := range []string{"CHASSIS", "CHASSIS_", "CHASSIS_a", "CHASSIS__A", "CHASSIS_A_", "CHASSIS_A___B", "CHASSIS_Ax", "CHASSIS_x4", "CHASSIS_x5F", "OTHER_A", "CHASSIS_A__", "CHASSIS_x61"} {
		if path, ok := settings.EnvPath("CHASSIS", no); ok {
			t.Errorf("%s: got %q", no, path)
		}
	}
}

// anyName is any text at all, and often what sits on an edge of the encoding.
func anyName() *rapid.Generator[string] {
	return rapid.OneOf(rapid.StringN(0, 12, -1), rapid.StringMatching(`[a-zX_0-9-]{0,8}`), rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 6), func(b []byte) string { return string(b) }))
}

func TestEveryNameHasOneVariableAndEveryVariableOneName(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom([]string{"", "CHASSIS", "A_B"}).Draw(t, "prefix")
		path := rapid.SliceOfN(anyName(), 1, 4).Draw(t, "path")
		variable := settings.EnvName(prefix, path...)
		if strings.Trim(variable, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_xabcdef") != "" {
			t.Fatalf("%q is no name of a variable", variable)
		}
		back, ok := settings.EnvPath(prefix, variable)
		if !ok || !slices.Equal(back, path) {
			t.Fatalf("%q is %s is %q, %v", path, variable, back, ok)
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		variable := "P_" + rapid.StringMatching(`([A-Z0-9_x]|x[0-9a-f]{2}){0,10}`).Draw(t, "variable")
		if path, ok := settings.EnvPath("P", variable); ok && settings.EnvName("P", path...) != variable {
			t.Fatalf("%s is the variable of %q, and its variable is %s", variable, path, settings.EnvName("P", path...))
		}
	})
}

// What a variable is named for is what it sets, whatever the name.
func TestAVariableReachesItsKey(t *testing.T) {
	type layout struct{ M map[string]map[string]string }
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyName().Draw(t, "a"), anyName().Draw(t, "b")
		got, err := settings.Load(layout{}, settings.Environ("P", []string{settings.EnvName("P", "m", a, b) + "=v"}))
		if err != nil || got.M[a][b] != "v" {
			t.Fatalf("got %q, %v", got.M, err)
		}
	})
}
