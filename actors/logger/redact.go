package logger

import (
	"log/slog"
	"reflect"
	"strings"
	"unicode/utf8"
)

// mustRedact reports whether the values of a key are kept out.
func (f *form) mustRedact(key string) bool { return f.redact != nil && f.redacts(key) }

func (f *form) redacts(key string) bool {
	var buf [64]byte // most keys are lowered in place
	lower := buf[:0]
	for i := 0; i < len(key); i++ {
		c := key[i]
		if c >= utf8.RuneSelf || i == len(buf) {
			_, ok := f.redact[strings.ToLower(key)]
			return ok
		}
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		lower = append(lower, c)
	}
	_, ok := f.redact[string(lower)]
	return ok
}

// redactsType reports whether values of v's type are kept out.
func (f *form) redactsType(v slog.Value) bool {
	return f.redactTypes != nil && f.redactTypes[reflect.TypeOf(v.Any())]
}

// orRedacted is v, a string that belongs to key, or what stands for it.
func (f *form) orRedacted(key, v string) string {
	if f.mustRedact(key) {
		return redacted
	}
	return v
}

// Redacted returns a as the outputs write it, for a hook that passes records on: its
// value is [REDACTED] if its key is in the setting redact or its type in
// [WithRedactType], in groups too.
func (l *Logger) Redacted(a slog.Attr) slog.Attr {
	f := l.forms[0] // all have the same
	a.Value = a.Value.Resolve()
	switch {
	case f.mustRedact(a.Key), f.redactsType(a.Value):
		return slog.String(a.Key, redacted)
	case a.Value.Kind() == slog.KindGroup:
		inner := make([]slog.Attr, 0, len(a.Value.Group()))
		for _, one := range a.Value.Group() {
			inner = append(inner, l.Redacted(one))
		}
		return slog.Attr{Key: a.Key, Value: slog.GroupValue(inner...)}
	}
	return a
}
