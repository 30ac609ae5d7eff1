package logger

import (
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// jsonSafe holds the ASCII bytes that stand for themselves in a JSON string.
var jsonSafe = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

const (
	lsb = 0x0101010101010101
	msb = 0x8080808080808080
)

// plain8 reports whether none of the eight bytes at s[i:] needs an escape or
// is outside ASCII: a zero-byte test (Mycroft, 1987) for the quote, for the
// backslash and for control characters at once.
func plain8(s string, i int) bool {
	_ = s[i+7]
	w := uint64(s[i]) | uint64(s[i+1])<<8 | uint64(s[i+2])<<16 | uint64(s[i+3])<<24 |
		uint64(s[i+4])<<32 | uint64(s[i+5])<<40 | uint64(s[i+6])<<48 | uint64(s[i+7])<<56
	quote := w ^ (lsb * '"')
	slash := w ^ (lsb * '\\')
	return (w|(w-lsb*0x20)|(quote-lsb)|(slash-lsb))&msb == 0
}

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD;
// U+2028 and U+2029 are escaped, for they end a line in JavaScript.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s)
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	i := 0
	for i+8 <= len(s) && plain8(s, i) {
		i += 8
	}
	for i < len(s) && jsonSafe[s[i]] {
		i++
	}
	b = append(b, s[:i]...)
	if i == len(s) {
		return b
	}
	return appendEscapedSlow(b, s[i:])
}

func appendEscapedSlow(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if jsonSafe[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[start:i]...)
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			case '\n':
				b = append(b, '\\', 'n')
			case '\r':
				b = append(b, '\\', 'r')
			case '\t':
				b = append(b, '\\', 't')
			default:
				b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			start = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1:
			b = append(b, s[start:i]...)
			b = append(b, `\ufffd`...)
			start = i + size
		case r == '\u2028' || r == '\u2029':
			b = append(b, s[start:i]...)
			b = append(b, `\u202`...)
			b = append(b, hexDigits[r&15])
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}

// appendFloat appends f as encoding/json does; NaN and the infinities, which
// JSON has no number for, as strings.
func appendFloat(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"+Inf"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Inf"`...)
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

const digits2 = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"

func two(b []byte, n int) []byte {
	return append(b, digits2[2*n], digits2[2*n+1])
}

// appendTime appends t in UTC, RFC 3339 with nanoseconds. All digits of the
// fraction are written, so that lines sort by time as text.
func appendTime(b []byte, t time.Time) []byte {
	sec, nsec := t.Unix(), t.Nanosecond()
	if sec < -62167219200 || sec > 253402300799 { // years 0 to 9999: RFC 3339 has no others
		return t.UTC().AppendFormat(b, time.RFC3339Nano)
	}
	days := sec / 86400
	rem := int(sec - days*86400)
	if rem < 0 {
		rem += 86400
		days--
	}
	// Days to a civil date, after Howard Hinnant, "chrono-Compatible
	// Low-Level Date Algorithms".
	z := days + 719468
	era := z / 146097
	if z < 0 {
		era = (z - 146096) / 146097
	}
	doe := z - era*146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	y := int(yoe + era*400)
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	d := int(doy - (153*mp+2)/5 + 1)
	m := int(mp) + 3
	if m > 12 {
		m -= 12
		y++
	}
	b = two(b, y/100)
	b = two(b, y%100)
	b = append(b, '-')
	b = two(b, m)
	b = append(b, '-')
	b = two(b, d)
	b = append(b, 'T')
	b = two(b, rem/3600)
	b = append(b, ':')
	b = two(b, rem/60%60)
	b = append(b, ':')
	b = two(b, rem%60)
	b = append(b, '.', byte('0'+nsec/100000000))
	b = two(b, nsec/1000000%100)
	b = two(b, nsec/10000%100)
	b = two(b, nsec/100%100)
	b = two(b, nsec%100)
	return append(b, 'Z')
}

func appendHex(b, id []byte) []byte {
	for _, c := range id {
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return b
}
