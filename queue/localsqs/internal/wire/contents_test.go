package wire

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// slowScan is scan, character by character.
func slowScan(s string) (plain, valid bool) {
	plain = true
	if !utf8.ValidString(s) {
		return false, false
	}
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '"' || r == '\\':
			plain = false
		case r < ' ' || r == 0xFFFE || r == 0xFFFF:
			return false, false
		}
	}
	return plain, true
}

func TestScanFindsEveryCharacterAtEveryPlace(t *testing.T) {
	for c := range 0x800 {
		for at := range 17 {
			s := strings.Repeat("x", at) + string(rune(c)) + strings.Repeat("y", 17-at)
			checkScan(t, s)
			checkScan(t, s[:len(s)-1])
		}
	}
	for _, s := range []string{"", "\xff", "12345678\xc3", "\uFFFD", "\uFFFE", "1234567\uFFFF", "\U0010FFFF", "\xed\xa0\x80"} {
		checkScan(t, s)
	}
}

func checkScan(t *testing.T, s string) {
	t.Helper()
	plain, valid := scan(s)
	if wantPlain, wantValid := slowScan(s); valid != wantValid || valid && plain != wantPlain {
		t.Fatalf("scan(%q) = %v, %v, want %v, %v", s, plain, valid, wantPlain, wantValid)
	}
}

func FuzzScan(f *testing.F) {
	f.Add("plain text of some length")
	f.Add("with \"quotes\" and \\ and \u00e9 \x01")
	f.Fuzz(checkScan)
}
