package chassistest

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestMinimal: what is left fails, and no longer does without any one of its elements.
func TestMinimal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 40).Draw(t, "n")
		list := make([]int, n)
		for i := range list {
			list[i] = i
		}
		// It fails with all of one of these groups.
		groups := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 40), 0, 4), 1, 3).Draw(t, "groups")
		fails := func(part []int) bool {
			return slices.ContainsFunc(groups, func(g []int) bool {
				return !slices.ContainsFunc(g, func(x int) bool { return !slices.Contains(part, x) })
			})
		}
		if !fails(list) {
			t.Skip("it does not fail")
		}
		got := minimal(list, fails)
		if !fails(got) {
			t.Fatalf("%v does not fail", got)
		}
		for i := range got {
			if fails(slices.Concat(got[:i], got[i+1:])) {
				t.Fatalf("%v fails without %d, too", got, got[i])
			}
		}
	})
}
