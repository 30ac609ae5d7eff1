package addresses

import (
	"fmt"
	"strings"
	"testing"
)

func TestRing(t *testing.T) {
	for _, c := range []struct {
		names, own, living, want string
	}{
		{"", "m", "", ""},
		{"m", "m", "", ""},
		{"a m z", "m", "", "z a"},
		{"z a m", "m", "a z", "z a"},
		{"a b c x y z", "m", "a b c x y z", "x y"},
		{"a b c x y z", "m", "y b", "x y z a b"}, // two dead before each living one
		{"a b c x y z", "zz", "a b c x y z", "a b"},
		{"a b", "m", "a b", "a b"}, // one without an inbox
		{"a a b", "a", "", "b"},
	} {
		known := map[string]verdict{}
		for _, name := range strings.Fields(c.living) {
			known[name] = lives
		}
		if got := strings.Join(ring(strings.Fields(c.names), c.own, known), " "); got != c.want {
			t.Errorf("%q from %q with %q alive: %q, want %q", c.names, c.own, c.living, got, c.want)
		}
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("%03d", i))
	}
	if got := ring(many, "050", nil); len(got) != mostLooks || got[0] != "051" {
		t.Errorf("of a hundred: %v", got)
	}
	if many[50] != "050" {
		t.Error("its argument is changed")
	}
}

// Each inbox is looked at by two live processes, wherever dead ones stand.
func TestEachIsLookedAtByTwo(t *testing.T) {
	names := strings.Fields("a b c d e f g h")
	for dead := range 1 << len(names) {
		known, looked, living := map[string]verdict{}, map[string]int{}, 0
		for i, name := range names {
			if dead&(1<<i) == 0 {
				known[name] = lives
				living++
			}
		}
		for name := range known {
			for _, at := range ring(names, name, known) {
				looked[at]++
			}
		}
		for _, name := range names {
			if looked[name] < min(2, living-min(int(known[name]/lives), 1)) {
				t.Fatalf("%08b: %s is looked at by %d of %d", dead, name, looked[name], living)
			}
		}
	}
}
