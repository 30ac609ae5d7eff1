package settings

import (
	"encoding"
	"encoding/json"
	"fmt"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// fromText reads a variable's text as JSON if it begins with open, keeping the
// variable as its place.
func fromText(n *node, open byte) *node {
	text := strings.TrimSpace(n.text)
	if n.kind != textNode || text == "" || text[0] != open || !json.Valid([]byte(text)) {
		return nil
	}
	o := &opening{}
	root := parseJSON(o, n.from, []byte(text))
	if root == nil || len(o.errs) > 0 {
		return nil
	}
	replace(root, n)
	return root
}

func replace(n, place *node) {
	n.from, n.line, n.col, n.literal = place.from, place.line, place.col, true
	n.edit().name = place.more().name
	for i := range n.kids {
		n.kids[i].line, n.kids[i].col = place.line, place.col
		replace(n.kids[i].node, place)
	}
}

// fromCommas reads a,b,c. An empty text is an empty list.
func fromCommas(n *node) *node {
	out := *n
	out.kind = listNode
	if strings.TrimSpace(n.text) == "" {
		return &out
	}
	for part := range strings.SplitSeq(n.text, ",") {
		elem := *n
		elem.text = strings.TrimSpace(part)
		out.kids = append(out.kids, kid{node: &elem})
	}
	return &out
}

// fromPairs reads k=v,k2=v2, or gives nil.
func fromPairs(n *node) *node {
	out := *n
	out.kind = mapNode
	if strings.TrimSpace(n.text) == "" {
		return &out
	}
	for part := range strings.SplitSeq(n.text, ",") {
		key, value, ok := strings.Cut(part, "=")
		if !ok {
			return nil
		}
		elem := *n
		elem.text = strings.TrimSpace(value)
		out.kids = append(out.kids, kid{key: strings.TrimSpace(key), line: n.line, col: n.col, node: &elem})
	}
	return &out
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
	if v.CanAddr() {
		if x, ok := v.Addr().Interface().(encoding.TextMarshaler); ok {
			if b, err := x.MarshalText(); err == nil {
				return string(b)
			}
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
		return strconv.Quote(clip(v.String()))
	}
	return clip(showValue(v))
}
