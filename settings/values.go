package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// Values is what a [Layout] read from a set of sources. It is not changed afterwards.
type Values struct {
	tree   *Tree
	layout *Layout
	value  reflect.Value
}

// Get returns the value at a dotted path, list elements by index, as a T. A number is converted if it loses
// nothing, but not to a time.Duration, for it has no unit; a section comes as a map[string]any. A secret comes as
// the Secret it is.
func Get[T any](v *Values, path string) (T, error) {
	var zero T
	found, err := v.at(path)
	if err != nil {
		return zero, err
	}
	out := reflect.New(reflect.TypeFor[T]()).Elem()
	if !convert(found, out) {
		e := &Error{Kind: KindType, Path: path, Problem: fmt.Sprintf("is a %s, not a %s", found.Type(), out.Type())}
		if found.Kind() == reflect.Struct {
			e.Problem = fmt.Sprintf("is a section, not a %s", out.Type())
			if isSecret(found.Type()) {
				e.Problem = fmt.Sprintf("is a secret: get it as a %s and Reveal it", found.Type())
			}
		}
		return zero, e
	}
	return out.Interface().(T), nil
}

// Get is the function Get for a value of any type.
func (v *Values) Get(path string) (any, error) { return Get[any](v, path) }

// Tree is the sources that the values were read from.
func (v *Values) Tree() *Tree { return v.tree }

func (v *Values) at(path string) (reflect.Value, error) {
	segments, err := splitPath(path)
	if err != nil {
		return reflect.Value{}, err
	}
	cur, c := v.value, v.layout.plan
	for i, s := range segments {
		for cur.Kind() == reflect.Pointer && !cur.IsNil() {
			cur, c = cur.Elem(), c.elem
		}
		next, nextCodec, problem, near := step(cur, c, s)
		if problem != "" {
			e := &Error{Kind: KindUnknown, Path: path, Problem: problem}
			if i > 0 {
				e.Problem = joinPath(segments[:i]) + " " + problem
			}
			if near != "" {
				e.Suggestion = joinPath(append(slices.Clone(segments[:i]), near))
			}
			return cur, e
		}
		cur, c = next, nextCodec
	}
	return cur, nil
}

// step goes one name down a decoded value.
func step(v reflect.Value, c *codec, s string) (next reflect.Value, nc *codec, problem, near string) {
	if v.Kind() == reflect.Interface && !v.IsNil() {
		v, c = v.Elem(), &codec{kind: anyCodec}
	}
	switch {
	case c.kind == structCodec:
		if i, ok := c.byKey[s]; ok {
			return v.FieldByIndex(c.fields[i].index), c.fields[i].codec, "", ""
		}
		return v, c, "has no setting " + source.QuoteKey(s), spelling.Nearest(s, c.keys)
	case v.Kind() == reflect.Slice && c.kind != scalarCodec || v.Kind() == reflect.Array && c.kind == listCodec:
		i, ok := index(s)
		if !ok || i >= v.Len() {
			return v, c, fmt.Sprintf("is a list of %d: expected an index below that, found %s", v.Len(),
				source.QuoteKey(s)), ""
		}
		return v.Index(i), elemOf(c), "", ""
	case v.Kind() == reflect.Map:
		var known []string
		for _, k := range v.MapKeys() {
			if text := showValue(k); text == s {
				return v.MapIndex(k), elemOf(c), "", ""
			} else {
				known = append(known, text)
			}
		}
		return v, c, "has no entry " + source.QuoteKey(s), spelling.Nearest(s, known)
	}
	return v, c, "is a single value: it has no " + source.QuoteKey(s), ""
}

func elemOf(c *codec) *codec {
	if c.elem != nil {
		return c.elem
	}
	return &codec{kind: anyCodec}
}

// convert puts from into to if that loses nothing.
func convert(from, to reflect.Value) bool {
	if to.Kind() == reflect.Interface || to.Type() == reflect.TypeFor[map[string]any]() {
		if from.Kind() == reflect.Struct && from.Type().Name() == "" {
			from = reflect.ValueOf(sectionMap(from))
		}
	}
	if from.Kind() == reflect.Interface && !from.IsNil() {
		from = from.Elem()
	}
	if from.IsValid() && from.Type() != durationType && to.Type() == durationType {
		return false // a bare number is seconds in a source and nanoseconds in Go
	}
	switch {
	case !from.IsValid():
		return to.Kind() == reflect.Interface
	case from.Type().AssignableTo(to.Type()):
		to.Set(from)
	case from.Kind() == reflect.String && to.Kind() == reflect.String:
		to.SetString(from.String())
	case isNumber(from.Type()) && isNumber(to.Type()):
		return convertNumber(from, to)
	case from.Kind() == reflect.Slice && to.Kind() == reflect.Slice:
		out := reflect.MakeSlice(to.Type(), from.Len(), from.Len())
		for i := range from.Len() {
			if !convert(from.Index(i), out.Index(i)) {
				return false
			}
		}
		to.Set(out)
	default:
		return false
	}
	return true
}

// convertNumber is convert for numbers: the value must survive the way there and back. A float becomes no whole
// number, and a duration nothing else.
func convertNumber(from, to reflect.Value) bool {
	there := from.Convert(to.Type())
	switch {
	case from.Type() == durationType, from.CanFloat() && !to.CanFloat():
		return false
	case from.CanFloat():
		to.Set(there)
		return !to.OverflowFloat(from.Float())
	case from.CanInt() && from.Int() < 0 && there.CanUint(), from.CanUint() && there.CanInt() && there.Int() < 0:
		return false // two's complement comes back as it was
	case !there.Convert(from.Type()).Equal(from):
		return false
	}
	to.Set(there)
	return true
}

// sectionMap is a section of a layout of items, which has a struct without a name.
func sectionMap(v reflect.Value) map[string]any {
	out := make(map[string]any, v.NumField())
	for i := range v.NumField() {
		key := v.Type().Field(i).Tag.Get("key")
		f := v.Field(i)
		if f.Kind() == reflect.Struct && f.Type().Name() == "" {
			out[key] = sectionMap(f)
			continue
		}
		out[key] = f.Interface()
	}
	return out
}

// compact shows a list or map in one line, as JSON has it.
func compact(v reflect.Value) string {
	return string(appendJSON(nil, v, func(b []byte, s string) []byte { return appendString(b, Redacted(s)) }))
}

// written is compact, for a file: what is loaded from it is v.
func written(v reflect.Value) string {
	return string(appendJSON(nil, v, appendLiteral))
}

// literal is a string as a file has it: a dot before one that begins with a dot keeps it from being an alias.
func literal(s string) string {
	if len(s) > 1 && s[0] == '.' && !isPath(s) {
		return "." + s
	}
	return s
}

func appendLiteral(b []byte, s string) []byte { return appendString(b, literal(Redacted(s))) }

// appendJSON writes strings that are values by text.
func appendJSON(b []byte, v reflect.Value, text func([]byte, string) []byte) []byte {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(b, "null"...)
		}
		v = v.Elem()
	}
	if isSecret(v.Type()) {
		return strconv.AppendQuote(b, v.Interface().(fmt.Stringer).String())
	}
	if c, err := codecOf(v.Type()); err == nil && c.kind == structCodec {
		b = append(b, '{')
		for i := range c.fields {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(appendString(b, c.fields[i].key), ": "...)
			if c.fields[i].secret {
				b = appendString(b, Mask)
				continue
			}
			b = appendJSON(b, v.FieldByIndex(c.fields[i].index), text)
		}
		return append(b, '}')
	} else if err == nil && c.kind == scalarCodec {
		return appendScalar(b, v, text)
	}
	switch v.Kind() {
	case reflect.Slice, reflect.Array:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendJSON(b, v.Index(i), text)
		}
		return append(b, ']')
	case reflect.Map:
		b = append(b, '{')
		for i, k := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = append(appendString(b, showValue(k)), ": "...)
			b = appendJSON(b, v.MapIndex(k), text)
		}
		return append(b, '}')
	}
	return appendScalar(b, v, text)
}
