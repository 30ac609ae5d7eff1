package clip

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextFromOutsideIsShortAndHarmless(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	for _, c := range []struct{ in, want string }{
		{"", ""},
		{"welcome", "welcome"},
		{"zoë", "zoë"},
		{"a\nb\tc", "a\uFFFDb\uFFFDc"},
		{"\x1b[31mred\x07", "\uFFFD[31mred\uFFFD"},
		{"\u009b31m", "\uFFFD31m"},
		{"user\u202etxt.exe", "user\uFFFDtxt.exe"},
		{"\u2066a\u2069\u200f", "\uFFFDa\uFFFD\uFFFD"},
		{"a\u2028b", "a\uFFFDb"},
		{"\xff\xfe", "\uFFFD\uFFFD"},
		{strings.Repeat("ä", 20), strings.Repeat("ä", 14) + "…"},
		{long, strings.Repeat("x", 29) + "…"},
	} {
		if got := Line(c.in, 32); got != c.want || len(got) > 32 || !utf8.ValidString(got) {
			t.Errorf("Line(%.20q): %q, want %q", c.in, got, c.want)
		}
	}
	if got := Block("a\n\tb\x1b[2J"); got != "a\n\tb\uFFFD[2J" {
		t.Errorf("Block: %q", got)
	}
}

func TestIDsThatAreCutStayApart(t *testing.T) {
	one, two := strings.Repeat("x", 1<<20)+"1", strings.Repeat("x", 1<<20)+"2"
	a, b := ID(one), ID(two)
	if a == b || len(a) > Name || len(b) > Name || !IsCut(a) || a != ID(one) {
		t.Errorf("%q\n%q", a, b)
	}
	if ID("7d5f") != "7d5f" || IsCut("7d5f") {
		t.Error("a short id is changed")
	}
	if a, b := ID("a\x00"), ID("a\x01"); a == b || !IsCut(a) {
		t.Errorf("%q and %q", a, b)
	}
	if n := testing.AllocsPerRun(100, func() { _ = ID("0b0c8a3e-9d5c-4b1e-8a53-5d1e3f1f9a77") }); n > 0 {
		t.Errorf("a usual id costs %v allocations", n)
	}
}
