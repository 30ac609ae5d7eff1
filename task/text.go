package task

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// escapeRune writes the first rune of src as \uXXXX and returns its bytes.
func escapeRune(b *strings.Builder, src []byte) int {
	r, n := utf8.DecodeRune(src)
	if r1, r2 := utf16.EncodeRune(r); r1 != utf8.RuneError {
		escapeUnit(b, r1)
		escapeUnit(b, r2)
		return n
	}
	if r == 0x7f { // json.dumps leaves DEL as it is
		b.WriteByte(0x7f)
		return n
	}
	escapeUnit(b, r)
	return n
}

func escapeUnit(b *strings.Builder, r rune) {
	b.WriteString(`\u`)
	for shift := 12; shift >= 0; shift -= 4 {
		b.WriteByte(hexDigits[r>>shift&0xf])
	}
}

// clean replaces the characters that SQS does not take in a message by
// U+FFFD: all but #x9, #xA, #xD, #x20 to #xD7FF, #xE000 to #xFFFD and those
// from #x10000 on (API reference of SendMessage).
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xfffd || r >= 0x10000 {
			return r
		}
		return utf8.RuneError
	}, s)
}

// ErrorText makes an error's text fit to travel: clean, and cut at a rune to at
// most [MaxErrorText] bytes.
func ErrorText(s string) string {
	if len(s) > 4*MaxErrorText {
		s = s[:4*MaxErrorText]
	}
	s = clean(s)
	if len(s) <= MaxErrorText {
		return s
	}
	cut := MaxErrorText - len("…")
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
