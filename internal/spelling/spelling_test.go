package spelling

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"a", "at", "mail.send", "mail_receive", "report", "welcome", "größe", "", strings.Repeat("x", 200)}
	for _, tc := range []struct{ name, want string }{
		{"welcom", "welcome"}, {"wlecome", "welcome"}, {"welcomes", "welcome"}, {"wellcomme", "welcome"}, {"wolcame", "welcome"},
		{"Welcome", "welcome"}, {"mail-send", "mail.send"}, {"MailReceive", "mail_receive"}, {"reports", "report"}, {"grösse", "größe"},
		{"grössse ", ""}, {"grüße", "größe"}, {"wxyzome", ""}, {"goodbye", ""}, {"b", ""}, {"", ""}, {"zzz", ""}, {"welcome", ""},
		{"at_", "at"}, {strings.Repeat("x", 199), strings.Repeat("x", 200)}, {"\xff\xfe", ""},
	} {
		if got := Nearest(tc.name, known); got != tc.want {
			t.Errorf("%q: %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		n    int
	}{
		{"", "", 0}, {"abc", "abc", 0}, {"abc", "", 3}, {"", "ab", 2}, {"abc", "abd", 1}, {"abc", "acb", 1}, {"abc", "xabc", 1},
		{"kitten", "sitting", 3}, {"abcd", "badc", 2}, {"abcdef", "", 4}, {"abcdefgh", "stuvwxyz", 4},
	} {
		if n := distance(tc.a, tc.b, 3); n != tc.n {
			t.Errorf("%q to %q: %d edits, want %d", tc.a, tc.b, n, tc.n)
		}
	}
}
