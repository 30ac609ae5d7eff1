package logger

import (
	"context"
	"log/slog"
	"strconv"
	"unicode"
	"unicode/utf8"
)

// palette holds the escape sequences of a terminal, all empty without one.
type palette struct {
	off, dim, key, debug, info, warn, err string
}

var terminal = palette{
	off:   "\x1b[0m",
	dim:   "\x1b[2m",
	key:   "\x1b[36m",
	debug: "\x1b[35m",
	info:  "\x1b[32m",
	warn:  "\x1b[33m",
	err:   "\x1b[1;31m",
}

func (p *palette) level(l slog.Level) string {
	switch {
	case l < slog.LevelInfo:
		return p.debug
	case l < slog.LevelWarn:
		return p.info
	case l < slog.LevelError:
		return p.warn
	}
	return p.err
}

// textHead writes "15:04:05.000 INFO  [name] message".
func (f *form) textHead(e *enc, r *slog.Record, name string) {
	if !r.Time.IsZero() {
		e.b = append(e.b, f.colours.dim...)
		e.b = r.Time.Local().AppendFormat(e.b, "2006-01-02 15:04:05.000")
		e.b = append(e.b, f.colours.off...)
		e.b = append(e.b, ' ')
	}
	e.b = append(e.b, f.colours.level(r.Level)...)
	n := len(e.b)
	e.b = append(e.b, levelName(r.Level)...)
	for len(e.b) < n+5 {
		e.b = append(e.b, ' ')
	}
	e.b = append(e.b, f.colours.off...)
	if name != "" {
		e.b = append(e.b, ' ', '[')
		e.b = appendTextKey(e.b, name)
		e.b = append(e.b, ']')
	}
	e.b = append(e.b, ' ')
	e.b = appendPrintable(e.b, r.Message)
}

func (f *form) textTail(e *enc, ctx context.Context, r *slog.Record) {
	e.identity(ctx)
	e.trace(ctx)
	if f.source && r.PC != 0 {
		e.b = append(e.b, ' ')
		e.b = append(e.b, f.colours.dim...)
		e.b = append(e.b, sourceOf(r.PC).text...)
		e.b = append(e.b, f.colours.off...)
	}
	e.b = append(e.b, '\n')
}

// appendTextKey writes a key so that it ends where '=' stands.
func appendTextKey(b []byte, k string) []byte {
	for i := 0; i < len(k); i++ {
		if c := k[i]; c <= ' ' || c == '=' || c == '"' || c >= 0x7f {
			return strconv.AppendQuote(b, k)
		}
	}
	if k == "" {
		return append(b, `""`...)
	}
	return append(b, k...)
}

// appendTextValue quotes a value unless it is one plain word.
func appendTextValue(b []byte, s string) []byte {
	if s == "" {
		return append(b, `""`...)
	}
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f {
				return strconv.AppendQuote(b, s)
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return strconv.AppendQuote(b, s)
		}
		i += size
	}
	return append(b, s...)
}

// appendPrintable writes a message as it is, except what would move a
// terminal's cursor or end the line.
func appendPrintable(b []byte, s string) []byte {
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && size == 1, !unicode.IsPrint(r):
			q := strconv.AppendQuote(nil, s[i:i+size])
			b = append(b, q[1:len(q)-1]...)
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return b
}
