package source

import (
	"strconv"
	"strings"
)

// redaction stands for a password that is not shown, as in url.URL.Redacted.
const redaction = "xxxxx"

// Redacted returns text with xxxxx in place of the password of each URL in it. It finds URLs that do not parse
// too: a mistake in a port must not show the password before it. Text without a URL that has a user comes back as
// it is.
func Redacted(text string) string {
	if !strings.Contains(text, "://") || !strings.Contains(text, "@") {
		return text
	}
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(text, "://")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("://")
		from, to := password(rest)
		b.WriteString(rest[:from])
		if from < to {
			b.WriteString(redaction)
		}
		text = rest[to:]
	}
}

// password returns the bounds of the password in what follows a "://"; they are equal where there is no password.
func password(rest string) (from, to int) {
	if end := strings.IndexAny(rest, " \t\r\n\"'<>`"); end >= 0 {
		rest = rest[:end]
	}
	if next := strings.Index(rest, "://"); next >= 0 { // a list of URLs, divided by commas
		rest = rest[:next]
	}
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	at := strings.LastIndexByte(authority, '@')
	colon := strings.IndexByte(authority, ':')
	if at < 0 && colon >= 0 && strings.Trim(authority[colon+1:], "0123456789") != "" &&
		!strings.HasPrefix(authority, "[") {
		at = strings.LastIndexByte(rest, '@') // no port: a password with a slash in it
	}
	if colon < 0 || at <= colon {
		return 0, 0
	}
	return colon + 1, at
}

// Clip keeps a message readable when a setting holds the content of a file.
func Clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// QuoteKey shows a key so that a blank or a control character in it is seen.
func QuoteKey(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == '"' || r == 0x7f }) {
		return s
	}
	return strconv.Quote(s)
}
