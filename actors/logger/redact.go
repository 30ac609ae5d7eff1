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
