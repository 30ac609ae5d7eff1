// Package clip bounds and cleans text from outside the service: ids, names, hosts,
// paths and error texts of messages, requests and answers. The admin server, its
// metrics and the command line show it only through this package.
//
//	row.Task = clip.ID(message.Name)          // at most clip.Name bytes, still unique
//	row.Error = clip.Line(err.Error(), clip.Text)
//	fmt.Fprint(terminal, clip.Block(body))    // keeps line breaks and tabs
//	log.Error("panic", "error", clip.Panic(v)) // whatever v holds
//
// All functions are pure and safe from any goroutine. Text that is short and
// harmless is returned as it is, without an allocation; text that is cut is
// copied, which frees the long original.
package clip

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits in bytes, the marks of a cut included.
const (
	// Name is the limit for ids, names, hosts and paths. Names that SQS and DNS
	// allow are shorter: 80 and 253 bytes.
	Name = 256
	// Text is the limit for error texts, reasons and notes.
	Text = 2 << 10
)

const (
	ellipsis = "…"
	digest   = 12      // hex digits of the fingerprint: 48 bits
	hashed   = 4 << 10 // bytes of each end that a fingerprint is made of, so that a megabyte costs no more than a name
)

// Line returns s as one line of at most most bytes: whole characters, valid
// UTF-8, control and formatting characters replaced by U+FFFD. What is cut ends
// in "…". most is at least 16.
func Line(s string, most int) string {
	if harmless(s, most, false) {
		return s
	}
	return clean(s, most, false)
}

// Block is [Line] without a limit, and keeps line breaks and tabs.
func Block(s string) string {
	if harmless(s, len(s), true) {
		return s
	}
	return clean(s, 3*len(s), true)
}

// ID returns a name or id of at most [Name] bytes. Where that changes s, the
// result ends in "…" and a fingerprint of s, which keeps different ids apart: it
// is made of the length and of the first and last 4 KB.
func ID(s string) string {
	if harmless(s, Name, false) {
		return s
	}
	ends := s
	if len(s) > 2*hashed {
		ends = strconv.Itoa(len(s)) + s[:hashed] + s[len(s)-hashed:]
	}
	sum := sha256.Sum256([]byte(ends))
	mark := hex.EncodeToString(sum[:])[:digest]
	return strings.TrimSuffix(clean(s, Name-len(ellipsis)-digest, false), ellipsis) + ellipsis + mark
}

// Cut returns at most most bytes of s, whole characters, and "…" where it was
// longer. It changes nothing else: it is for text that is not shown as it is.
func Cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.Clone(cutBack(s, most-len(ellipsis))) + ellipsis
}

// IsCut reports whether id has the form that [ID] gives to what it changes.
func IsCut(id string) bool {
	at := strings.LastIndex(id, ellipsis)
	return at >= 0 && len(id)-at-len(ellipsis) == digest
}

// Unsafe reports whether a rune controls a terminal or the direction of text:
// control characters (Unicode Cc), formatting characters (Cf, with bidirectional
// marks), and line and paragraph separators.
func Unsafe(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029'
}

func harmless(s string, most int, block bool) bool {
	if len(s) > most {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= 0x20 && c < 0x7f || block && (c == '\n' || c == '\t') {
			continue
		}
		if c < utf8.RuneSelf {
			return false
		}
		return harmlessRunes(s[i:], block)
	}
	return true
}

func harmlessRunes(s string, block bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if Unsafe(r) && (!block || r != '\n' && r != '\t') {
			return false
		}
	}
	return true
}

func clean(s string, most int, block bool) string {
	var b strings.Builder
	b.Grow(min(len(s), most) + utf8.UTFMax)
	for _, r := range s { // a byte that is no UTF-8 is U+FFFD
		if Unsafe(r) && (!block || r != '\n' && r != '\t') {
			r = utf8.RuneError
		}
		if b.Len()+utf8.RuneLen(r) > most {
			return cutBack(b.String(), most-len(ellipsis)) + ellipsis
		}
		b.WriteRune(r)
	}
	return b.String()
}

// cutBack returns the whole characters within the first n bytes.
func cutBack(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
