package clip

import (
	"fmt"
	"reflect"
)

// Bounds of a panic's value that is printed whole.
const (
	panicDepth = 32
	panicParts = 10_000
)

// Panic returns the value of a panic as fmt prints it, or its type alone if it is
// deeper or larger than can be meant to be read. A map or a slice may hold itself,
// which fmt follows until the stack of the process is full.
func Panic(v any) string {
	switch v := v.(type) {
	case error, fmt.Stringer:
		return fmt.Sprint(v) // a method of the service's own; fmt catches its panic
	case string:
		return v
	}
	if parts := panicParts; !printable(reflect.ValueOf(v), panicDepth, &parts) {
		return fmt.Sprintf("a %T that holds itself, or is too large to be printed", v)
	}
	return fmt.Sprint(v)
}

// printable reports whether v ends within a depth and a number of parts.
func printable(v reflect.Value, depth int, parts *int) bool {
	if *parts--; depth < 0 || *parts < 0 {
		return false
	}
	switch v.Kind() {
	case reflect.Interface, reflect.Pointer:
		return v.IsNil() || printable(v.Elem(), depth-1, parts)
	case reflect.Struct:
		for i := range v.NumField() {
			if !printable(v.Field(i), depth-1, parts) {
				return false
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !printable(v.Index(i), depth-1, parts) {
				return false
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if !printable(it.Key(), depth-1, parts) || !printable(it.Value(), depth-1, parts) {
				return false
			}
		}
	}
	return true
}
