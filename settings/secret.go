package settings

import (
	"fmt"
	"log/slog"
	"reflect"
)

// Mask is what is shown in place of a secret. A source that gives it as the value of a secret is refused, for it
// was printed by a program, not written by a person who knows the secret.
const Mask = "[secret]"

// Secret holds a value that is shown by nothing but Reveal: fmt with any verb, encoding/json, yaml, slog, the
// errors of this package, Explain, Schema and Example all give [Mask], or "" for the zero value. The value is kept
// behind a pointer, so that even fmt on a struct with an unexported Secret field, where fmt cannot call methods,
// prints an address. The zero value holds T's zero value.
type Secret[T any] struct {
	p *T
}

// NewSecret hides v.
func NewSecret[T any](v T) Secret[T] { return Secret[T]{p: &v} }

// Reveal returns the value itself.
func (s Secret[T]) Reveal() T {
	if s.p == nil {
		var zero T
		return zero
	}
	return *s.p
}

// IsZero reports whether the secret is T's zero value.
func (s Secret[T]) IsZero() bool {
	return s.p == nil || reflect.ValueOf(s.p).Elem().IsZero()
}

// String returns the mask.
func (s Secret[T]) String() string {
	if s.IsZero() {
		return ""
	}
	return Mask
}

// GoString returns the mask, for %#v.
func (s Secret[T]) GoString() string { return fmt.Sprintf("settings.Secret(%q)", s.String()) }

// Format returns the mask for every verb, %d and %x included.
func (s Secret[T]) Format(f fmt.State, verb rune) {
	text := s.String()
	switch {
	case verb == 'v' && f.Flag('#'):
		text = s.GoString()
	case verb == 'q':
		text = `"` + text + `"`
	}
	_, _ = f.Write([]byte(text)) // a fmt.State keeps its own error
}

// MarshalText returns the mask; encoding/json uses it too.
func (s Secret[T]) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalJSON returns the mask as a string, whatever T is.
func (s Secret[T]) MarshalJSON() ([]byte, error) { return []byte(`"` + s.String() + `"`), nil }

// LogValue returns the mask to slog.
func (s Secret[T]) LogValue() slog.Value { return slog.StringValue(s.String()) }

// secretType lets the package reach into a Secret of any T.
type secretType interface {
	elem() reflect.Type
	reveal() reflect.Value
	hide(reflect.Value) any
}

func (s Secret[T]) elem() reflect.Type       { return reflect.TypeFor[T]() }
func (s Secret[T]) reveal() reflect.Value    { v := s.Reveal(); return reflect.ValueOf(&v).Elem() }
func (s Secret[T]) hide(v reflect.Value) any { return NewSecret(v.Interface().(T)) }
