package settings

import (
	"cmp"
	"encoding"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sambatech/chassis/settings/internal/source"
)

// fromText reads a variable's text as JSON if it begins with open, keeping the variable as its place.
func fromText(n *source.Node, open byte) *source.Node {
	text := strings.TrimSpace(n.Text)
	if n.Kind != source.Text || text == "" || text[0] != open || !json.Valid([]byte(text)) {
		return nil
	}
	r := &source.Reading{From: n.From}
	root := r.JSON([]byte(text))
	if root == nil || len(r.Mistakes) > 0 {
		return nil
	}
	replace(root, n)
	return root
}

func replace(n, place *source.Node) {
	n.From, n.Line, n.Col, n.Literal = place.From, place.Line, place.Col, true
	n.Edit().Name = place.More().Name
	if ref := place.More().Ref; ref != nil {
		n.Rare.Name = positionOf(ref).String()
	}
	for i := range n.Kids {
		n.Kids[i].Line, n.Kids[i].Col = place.Line, place.Col
		replace(n.Kids[i].Node, place)
	}
}

// parts divides a variable's text at its commas; read makes an element or entry of each part, or returns false.
// An empty text has none.
func parts(n *source.Node, kind source.Kind, read func(part string) (key, value string, ok bool)) *source.Node {
	out := *n
	out.Kind = kind
	if strings.TrimSpace(n.Text) == "" {
		return &out
	}
	for part := range strings.SplitSeq(n.Text, ",") {
		key, value, ok := read(part)
		if !ok {
			return nil
		}
		elem := *n
		elem.Text = strings.TrimSpace(value)
		out.Kids = append(out.Kids, source.Kid{Key: strings.TrimSpace(key), Line: n.Line, Col: n.Col, Node: &elem})
	}
	return &out
}

// fromCommas reads the list a,b,c.
func fromCommas(n *source.Node) *source.Node {
	return parts(n, source.List, func(part string) (string, string, bool) { return "", part, true })
}

// entries reads a map of a variable's text, k=v,k2=v2 or JSON, or returns nil.
func entries(n *source.Node) *source.Node {
	if m := fromText(n, '{'); m != nil {
		return m
	}
	return parts(n, source.Map, func(part string) (string, string, bool) { return strings.Cut(part, "=") })
}

// showValue is a scalar as a settings file has it.
func showValue(v reflect.Value) string {
	if !v.IsValid() {
		return ""
	}
	switch x := v.Interface().(type) {
	case time.Duration:
		return shortDuration(x)
	case time.Time:
		return x.Format(time.RFC3339Nano)
	case url.URL:
		return x.String()
	case encoding.TextMarshaler:
		if b, err := x.MarshalText(); err == nil {
			return string(b)
		}
	}
	if reflect.PointerTo(v.Type()).Implements(textMarshaler) {
		p := reflect.New(v.Type())
		p.Elem().Set(v)
		if b, err := p.Interface().(encoding.TextMarshaler).MarshalText(); err == nil {
			return string(b)
		}
	}
	switch v.Kind() {
	case reflect.String:
		return v.String()
	case reflect.Float32, reflect.Float64:
		return strconv.FormatFloat(v.Float(), 'g', -1, v.Type().Bits())
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return string(v.Bytes())
		}
	}
	return fmt.Sprint(v.Interface())
}

// found shows a value in a message.
func found(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Slice, reflect.Map, reflect.Array:
		if !(v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Uint8) {
			return fmt.Sprintf("%d elements", v.Len())
		}
	case reflect.String:
		return strconv.Quote(source.Clip(Redacted(v.String())))
	}
	return source.Clip(Redacted(showValue(v)))
}

// appendScalar writes a value as JSON, strings by text.
func appendScalar(b []byte, v reflect.Value, text func([]byte, string) []byte) []byte {
	switch {
	case v.Type() == durationType:
		return appendString(b, showValue(v))
	case v.Kind() == reflect.Bool:
		return strconv.AppendBool(b, v.Bool())
	case v.CanInt() && !isText(v):
		return strconv.AppendInt(b, v.Int(), 10)
	case v.CanUint() && !isText(v):
		return strconv.AppendUint(b, v.Uint(), 10)
	case v.CanFloat() && !isText(v):
		return append(b, showValue(v)...)
	}
	return text(b, showValue(v))
}

func isText(v reflect.Value) bool { return reflect.PointerTo(v.Type()).Implements(textType) }

// appendString quotes so that json, yaml (in double quotes) and toml (a basic string) all read the same.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, `\n`...)
		case r == '\t':
			b = append(b, `\t`...)
		case r < 0x20 || 0x7f <= r && r <= 0x9f || r == 0x2028 || r == 0x2029 || r == 0xfeff || r == 0xfffe ||
			r == 0xffff:
			b = fmt.Appendf(b, `\u%04x`, r)
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		if a.CanInt() {
			return cmp.Compare(a.Int(), b.Int())
		}
		return strings.Compare(showValue(a), showValue(b))
	})
	return keys
}
