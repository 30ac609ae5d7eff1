package settings

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"

	"github.com/sambatech/chassis/settings/internal/source"
)

// object is a JSON object that keeps the order of its keys.
type object []pair

type pair struct {
	key   string
	value any
}

func (o object) with(key string, value any) object { return append(o, pair{key, value}) }

// MarshalJSON writes the pairs in their order.
func (o object) MarshalJSON() ([]byte, error) {
	b := bytes.NewBufferString("{")
	for i, p := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(appendString(nil, p.key))
		b.WriteByte(':')
		v, err := json.Marshal(p.value)
		if err != nil {
			return nil, err
		}
		b.Write(v)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// Schema is the layout as a JSON Schema (draft 2020-12), indented. In an editor it completes and checks yaml,
// toml and json files; in yaml name it in the first line: "# yaml-language-server: $schema=chassis.schema.json".
//
// It accepts the JSON documents that load, but for what a schema cannot say: the range of a duration or size that
// is written with a unit and of a map's number keys, a value that must exist outside (file, dir), calendar dates,
// the inner form of URLs, of network addresses and of types with their own UnmarshalText, where an alias leads,
// and checks written in Go.
func (l *Layout) Schema() []byte {
	s := &schemer{defs: map[reflect.Type]string{}}
	root := object{{"$schema", "https://json-schema.org/draft/2020-12/schema"}}
	root = append(root, s.section(l.plan, l.defaults, false)...)
	defs := object{{"alias", object{{"type", "string"}, {"pattern", `^\.[^./]`},
		{"description", "the value at this dotted path"}}}}
	root = root.with("$defs", append(defs, s.out...))
	raw, err := json.Marshal(root)
	if err != nil {
		return nil // cannot be: the pairs are strings, numbers and their like
	}
	var out bytes.Buffer
	if json.Indent(&out, raw, "", "  ") != nil {
		return raw
	}
	out.WriteByte('\n')
	return out.Bytes()
}

type schemer struct {
	open []reflect.Type // structs that are being described, to see recursion
	defs map[reflect.Type]string
	out  object
}

func (s *schemer) section(c *codec, def reflect.Value, nullable bool) object {
	s.open = append(s.open, c.typ)
	defer func() { s.open = s.open[:len(s.open)-1] }()
	props, required := object{}, []string{}
	for i := range c.fields {
		f := &c.fields[i]
		v := def.FieldByIndex(f.index)
		if (f.rules.required || f.must) && isUnset(v) || !missingLoads(f, v) {
			required = append(required, f.key)
		}
		p := s.field(f, v)
		props = props.with(f.key, p)
	}
	typ := any("object")
	if nullable || len(required) == 0 {
		typ = []string{"object", "null"}
	}
	out := object{{"type", typ}, {"properties", props}, {"additionalProperties", false}}
	if len(required) > 0 {
		out = out.with("required", required)
	}
	return out
}

// missingLoads reports whether a field can be left out: whether its default keeps its own rules.
func missingLoads(f *field, v reflect.Value) bool {
	if f.codec.kind == structCodec {
		for i := range f.codec.fields {
			inner := &f.codec.fields[i]
			iv := v.FieldByIndex(inner.index)
			if (inner.rules.required || inner.must) && isUnset(iv) || !missingLoads(inner, iv) {
				return false
			}
		}
		return true
	}
	return keepsRules(f, v)
}

// keepsRules reports whether a default keeps the rules of its field.
func keepsRules(f *field, v reflect.Value) bool {
	d := &decoder{tree: &Tree{root: &source.Node{Kind: source.Map}}, config: &config{}}
	saved := *f
	saved.check = nil
	d.rules(&saved, nil, Position{}, v)
	return len(d.errs) == 0
}

func (s *schemer) field(f *field, def reflect.Value) object {
	out := s.value(f.codec, f, def)
	if f.doc != "" {
		out = append(object{{"description", f.doc}}, out...)
	}
	if f.secret {
		return out.with("writeOnly", true)
	}
	if f.codec.kind != structCodec && !f.codec.hasSecret && !isUnset(def) && f.codec.within() != anyCodec {
		out = out.with("default", json.RawMessage(compact(def)))
	}
	return out
}

// value describes a type; f, if there is one, adds its rules.
func (s *schemer) value(c *codec, f *field, def reflect.Value) object {
	switch c.kind {
	case structCodec:
		if slices.Contains(s.open, c.typ) {
			return object{{"$ref", "#/$defs/" + s.define(c)}}
		}
		return orAlias(s.section(c, def, false))
	case pointerCodec:
		inner := reflect.Zero(c.elem.typ)
		if def.IsValid() && def.Kind() == reflect.Pointer && !def.IsNil() {
			inner = def.Elem()
		}
		return object{{"anyOf", []any{s.value(c.elem, f, inner), object{{"type", "null"}}}}}
	case secretCodec:
		return s.value(c.elem, f, reflect.Zero(c.elem.typ))
	case listCodec:
		out := object{{"type", nullable("array", f, c)},
			{"items", s.value(c.elem, eachOf(f), reflect.Zero(c.elem.typ))}}
		if c.typ.Kind() == reflect.Array {
			out = out.with("minItems", c.typ.Len()).with("maxItems", c.typ.Len())
		}
		return orAlias(lengths(out, f, "Items"))
	case mapCodec:
		out := object{{"type", nullable("object", f, c)},
			{"additionalProperties", s.value(c.elem, eachOf(f), reflect.Zero(c.elem.typ))}}
		if isNumber(c.key.typ) {
			out = out.with("propertyNames", object{{"pattern", `^[-+]?[0-9]+$`}})
		}
		return orAlias(lengths(out, f, "Properties"))
	case anyCodec:
		return object{}
	}
	return s.scalar(c, f)
}

// define returns a name to a struct that holds itself.
func (s *schemer) define(c *codec) string {
	if name, ok := s.defs[c.typ]; ok {
		return name
	}
	name := fmt.Sprintf("%s%d", snake(c.typ.Name()), len(s.defs)+1)
	s.defs[c.typ] = name
	open := s.open
	s.open = nil
	body := s.section(c, reflect.Zero(c.typ), false)
	s.open = open
	s.out = s.out.with(name, body)
	return name
}

// eachOf is a field with the rules of its elements.
func eachOf(f *field) *field {
	if f == nil || len(f.rules.each) == 0 {
		return nil
	}
	return &field{rules: ruleSet{own: f.rules.each}, secret: f.secret}
}

// nullable adds null where null loads: a list or map that may be empty.
func nullable(typ string, f *field, c *codec) any {
	if c.typ.Kind() == reflect.Array || f != nil &&
		!keepsRules(&field{codec: c, rules: f.rules}, reflect.Zero(c.typ)) {
		return typ
	}
	return []string{typ, "null"}
}

func lengths(out object, f *field, what string) object {
	if f == nil {
		return out
	}
	for _, r := range f.rules.own {
		switch r.name {
		case "min", "max":
			n, _ := strconv.Atoi(r.arg)
			out = out.with(r.name+what, n)
		case "nonempty":
			out = out.with("min"+what, 1)
		case "unique":
			out = out.with("uniqueItems", true)
		}
	}
	if f.rules.zero {
		return object{{"anyOf", []any{out, object{{"max" + what, 0}}}}}
	}
	return out
}

const (
	numberPattern   = `[-+]?([0-9]+(\.[0-9]*)?|\.[0-9]+)`
	durationPattern = `^[-+]?(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$|^` + numberPattern + `$`
	timePattern     = `^[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])([Tt ]([01]?[0-9]|2[0-3]):[0-5]?[0-9]:[0-5]?[0-9](\.[0-9]+)?(Z|[-+]([01][0-9]|2[0-3]):[0-5][0-9])?)?$`
	urlPattern      = `^[A-Za-z][A-Za-z0-9+.-]*://[^/?#@]+`
)

func (s *schemer) scalar(c *codec, f *field) object {
	t := c.typ
	switch {
	case t == durationType:
		number := bounds(object{{"type", "number"}, {"minimum", int64(-9223372036)}, {"maximum", int64(9223372036)}},
			f, t)
		return zeroToo(object{{"anyOf", []any{number, object{{"type", "string"}, {"pattern", durationPattern}},
			aliasRef}}}, f, json.RawMessage("0"))
	case t == timeType:
		return orAlias(object{{"type", "string"}, {"pattern", timePattern}})
	case t == slogLevel:
		return orAlias(object{{"type", "string"},
			{"pattern", `^([dD][eE][bB][uU][gG]|[iI][nN][fF][oO]|` +
				`[wW][aA][rR][nN]|[eE][rR][rR][oO][rR])([-+][0-9]+)?$`}})
	case t == urlType:
		out := object{{"type", "string"}, {"format", "uri-reference"}}
		if f != nil && hasRule(f, "url") {
			out = out.with("pattern", urlPattern)
		}
		return orAlias(out)
	case isText(reflect.Zero(t)):
		return object{{"type", []string{"string", "number", "boolean"}}}
	case t.Kind() == reflect.Bool:
		return orAlias(object{{"type", "boolean"}})
	case t.Kind() == reflect.String, t.Kind() == reflect.Slice:
		return s.text(f)
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		out := object{{"type", "number"}}
		if t.Kind() == reflect.Float32 {
			out = out.with("minimum", -math.MaxFloat32).with("maximum", math.MaxFloat32)
		}
		return orAlias(zeroToo(bounds(out, f, t), f, json.RawMessage("0")))
	}
	out := object{{"type", "integer"}}
	if v := reflect.New(t).Elem(); v.CanInt() {
		out = out.with("minimum", int64(-1)<<(t.Bits()-1)).with("maximum", int64(math.MaxInt64)>>(64-t.Bits()))
	} else {
		out = out.with("minimum", 0).with("maximum", uint64(math.MaxUint64)>>(64-t.Bits()))
	}
	return orAlias(zeroToo(bounds(out, f, t), f, json.RawMessage("0")))
}

var aliasRef = object{{"$ref", "#/$defs/alias"}}

// orAlias allows an alias in place of a value.
func orAlias(o object) object {
	return object{{"anyOf", []any{o, aliasRef}}}
}

// zeroToo lets the zero value pass where the rule zero does.
func zeroToo(o object, f *field, zero any) object {
	if f == nil || !f.rules.zero {
		return o
	}
	return object{{"anyOf", []any{o, object{{"const", zero}}}}}
}

// bounds adds the rules of a number; of a duration they are in seconds.
func bounds(o object, f *field, t reflect.Type) object {
	if f == nil {
		return o
	}
	put := func(key string, v any) {
		if i := slices.IndexFunc(o, func(p pair) bool { return p.key == key }); i >= 0 {
			o[i].value = v
			return
		}
		o = o.with(key, v)
	}
	for _, r := range f.rules.own {
		switch r.name {
		case "min":
			put("minimum", limit(r.arg, t))
		case "max":
			put("maximum", limit(r.arg, t))
		case "positive":
			put("exclusiveMinimum", 0)
		case "port":
			put("minimum", 1)
			put("maximum", 65535)
		case "oneof":
			numbers := make([]json.RawMessage, 0, len(r.near))
			for _, n := range r.near {
				if json.Valid([]byte(n)) {
					numbers = append(numbers, json.RawMessage(n))
				}
			}
			put("enum", numbers)
		}
	}
	return o
}

func limit(arg string, t reflect.Type) any {
	if d, err := parseDuration(arg); err == nil && t == durationType {
		return json.RawMessage(strconv.FormatFloat(d.Seconds(), 'f', -1, 64))
	}
	return json.RawMessage(arg)
}

// textPatterns are the rules of a string that a pattern says.
var textPatterns = map[string]string{"lower": `^[^\p{Lu}\p{Lt}]*$`, "upper": `^[^\p{Ll}\p{Lt}]*$`,
	"trimmed": `^(\S([\s\S]*\S)?)?$`, "url": urlPattern, "hostport": hostPortPattern}

func (s *schemer) text(f *field) object {
	out := object{{"type", "string"}}
	if f == nil {
		return out
	}
	var all []any // several patterns cannot stand in one object
	for _, r := range f.rules.own {
		pattern := textPatterns[r.name]
		switch r.name {
		case "min", "max":
			n, _ := strconv.Atoi(r.arg)
			out = out.with(r.name+"Length", n)
		case "nonempty":
			out = out.with("minLength", 1)
		case "oneof":
			out = out.with("enum", r.near)
		case "match":
			pattern = `^(?:` + r.arg + `)$`
		}
		if pattern != "" {
			all = append(all, object{{"pattern", pattern}})
		}
	}
	if len(all) > 0 {
		out = out.with("allOf", all)
	}
	if f.rules.zero {
		out = object{{"anyOf", []any{out, object{{"const", ""}}}}}
	}
	if len(f.rules.own) > 0 {
		return orAlias(out)
	}
	return out
}
