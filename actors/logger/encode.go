package logger

import (
	"encoding/binary"
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

// plain reports whether s stands for itself in a JSON string: no quote, no
// backslash, no control character, nothing outside ASCII. It looks at eight
// bytes at once, by the zero-byte test (w-0x01...)&^w&0x80... of Mycroft
// (1987); the last eight overlap those before.
func plain(s string) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x8080808080808080
	)
	p := []byte(s) // not copied: it is only read
	n := len(p)
	var bad uint64
	switch {
	case n >= 8:
		for i := 0; i < n-8; i += 8 {
			w := binary.LittleEndian.Uint64(p[i:])
			bad |= w | (w - ones*0x20) | (w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones)
		}
		w := binary.LittleEndian.Uint64(p[n-8:])
		bad |= w | (w - ones*0x20) | (w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones)
	case n >= 4:
		w := uint64(binary.LittleEndian.Uint32(p))<<32 | uint64(binary.LittleEndian.Uint32(p[n-4:]))
		bad = w | (w - ones*0x20) | (w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones)
	default:
		for _, c := range p {
			if !jsonSafe[c] {
				return false
			}
		}
	}
	return bad&highs == 0
}

// appendString appends s as a JSON string. What is not UTF-8 becomes U+FFFD;
// U+2028 and U+2029 are escaped, for they end a line in JavaScript.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		b = append(b, s...)
	} else {
		b = appendEscapedSlow(b, s)
	}
	return append(b, '"')
}

func appendEscaped(b []byte, s string) []byte {
	if plain(s) {
		return append(b, s...)
	}
	return appendEscapedSlow(b, s)
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
			b = append(b, "\uFFFD"...)
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
	if a := math.Abs(f); a < 1e10 {
		// Up to four decimals: an integer of at most 15 digits divided by
		// 1e4, which division rounds correctly, gives f again; so these are
		// f's shortest digits.
		if i := int64(a*1e4 + 0.5); float64(i)/1e4 == a {
			return appendDecimal(b, i, math.Signbit(f))
		}
	}
	if a := math.Abs(f); a != 0 && (a < 1e-6 || a >= 1e21) {
		return strconv.AppendFloat(b, f, 'e', -1, 64)
	}
	return strconv.AppendFloat(b, f, 'f', -1, 64)
}

// appendDecimal appends i/10000 without trailing zeros.
func appendDecimal(b []byte, i int64, negative bool) []byte {
	if negative {
		b = append(b, '-')
	}
	b = strconv.AppendInt(b, i/1e4, 10)
	frac := int(i % 1e4)
	if frac == 0 {
		return b
	}
	b = append(b, '.')
	b = two(b, frac/100)
	b = two(b, frac%100)
	n := len(b)
	for b[n-1] == '0' {
		n--
	}
	return b[:n]
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
	return appendFraction(append(b, '.'), nsec)
}

func appendFraction(b []byte, nsec int) []byte {
	b = append(b, byte('0'+nsec/100000000))
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
