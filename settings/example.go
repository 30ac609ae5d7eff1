package settings

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Example is a file of every setting with what it is, its type, rules and
// default. What must be given stands there with a made-up value; the rest is
// commented out with its default ("#key: value", notes are "# text"), so that
// a service follows when a default changes. JSON has no comments: there every
// setting stands with its value. The prefix is that of the variables, which
// the notes name and a .env file is made of; it may be "" but for ENV.
//
// What it prints loads, unless a check written in Go refuses a made-up value.
func (l *Layout) Example(format Format, prefix string) ([]byte, error) {
	e := &exampler{prefix: prefix}
	switch format {
	case YAML:
		e.yaml(l.plan, l.defaults, nil, 0, false)
	case TOML:
		e.toml(l.plan, l.defaults, nil, 0, false)
	case JSON:
		e.json(l.plan, l.defaults, 0)
		e.b.WriteByte('\n')
	case ENV:
		if prefix == "" {
			return nil, fmt.Errorf("settings: an example of variables needs their prefix")
		}
		l.each(e.variable)
	default:
		return nil, fmt.Errorf("settings: there is no example of %s: it is of yaml, toml, json or env", format)
	}
	return []byte(strings.TrimPrefix(e.b.String(), "\n")), nil
}

type exampler struct {
	b      strings.Builder
	prefix string
}

// notes writes the comment lines above a setting.
func (e *exampler) notes(indent string, f *field, def reflect.Value, path []string, format Format) {
	e.b.WriteString("\n")
	if f.doc != "" {
		for line := range strings.SplitSeq(f.doc, "\n") {
			e.b.WriteString(indent + "# " + strings.TrimSpace(line) + "\n")
		}
	}
	note := describe(f)
	if f.secret {
		note += ", secret"
	}
	if f.live {
		note += ", may change live"
	}
	if e.prefix != "" && format != ENV {
		note += ", " + EnvName(e.prefix, path...)
	}
	e.b.WriteString(indent + "# " + strings.ReplaceAll(note, "\n", " ") + "\n")
}

// describe is a field's type and rules.
func describe(f *field) string {
	parts := []string{strings.TrimPrefix(strings.TrimPrefix(f.codec.expect, "a "), "an ")}
	if f.codec.kind == listCodec {
		parts[0] += " of " + plural(f.codec.elem)
	} else if f.codec.kind == mapCodec {
		parts[0] = "map of " + plural(f.codec.elem)
	}
	if rules := rulesText(f); rules != "" {
		parts = append(parts, rules)
	}
	return strings.Join(parts, ", ")
}

func plural(c *codec) string {
	switch c.within() {
	case structCodec:
		return "sections"
	case listCodec:
		return "lists"
	case mapCodec:
		return "maps"
	case anyCodec:
		return "values"
	}
	return "values, each " + c.expect
}

func rulesText(f *field) string {
	var parts []string
	if f.rules.required || f.must {
		parts = append(parts, "required")
	}
	for _, r := range f.rules.own {
		parts = append(parts, r.must)
	}
	for _, r := range f.rules.each {
		parts = append(parts, "each "+r.must)
	}
	if f.rules.zero {
		parts = append(parts, "or the zero value")
	}
	if f.rules.optional {
		parts = append(parts, "or left out")
	}
	return strings.Join(parts, ", ")
}

// given tells whether a setting must stand in an example, and with what: for a
// secret that may be left out, not with its default.
func given(f *field, def reflect.Value) (v reflect.Value, active, ok bool) {
	active = (f.rules.required || f.must) && isUnset(def) || f.codec.kind != structCodec && !keepsRules(f, def)
	if f.secret && !active {
		def = reflect.Value{}
	}
	v, ok = sample(f.codec, f, def)
	if ok && v.Kind() == reflect.Interface && v.IsNil() {
		v = reflect.ValueOf("example")
	}
	return v, active, ok
}

// down gives the section that a field is or points to.
func down(f *field, v reflect.Value) (*codec, reflect.Value, bool) {
	c, optional := f.codec, false
	for c.kind == pointerCodec && (c.elem.kind == structCodec || c.elem.kind == pointerCodec) {
		optional = optional || v.IsNil()
		c = c.elem
		if v.IsNil() {
			v = reflect.Zero(c.typ)
		} else {
			v = v.Elem()
		}
	}
	if c.kind != structCodec {
		return nil, v, false
	}
	return c, v, optional
}

const maxExample = 6 // levels of sections; a struct that holds itself has no last one

func (e *exampler) yaml(c *codec, v reflect.Value, path []string, depth int, off bool) {
	indent := strings.Repeat("  ", depth)
	for i := range c.fields {
		f := &c.fields[i]
		fv := v.FieldByIndex(f.index)
		here := append(slices.Clone(path), f.key)
		if inner, iv, optional := down(f, fv); inner != nil {
			if depth >= maxExample {
				continue
			}
			e.b.WriteByte('\n')
			if f.doc != "" {
				e.b.WriteString(indent + "# " + strings.ReplaceAll(f.doc, "\n", " ") + "\n")
			}
			hash := ""
			if off || optional {
				hash = "#"
			}
			e.b.WriteString(indent + hash + yamlKey(f.key) + ":\n")
			e.yaml(inner, iv, here, depth+1, off || optional)
			continue
		}
		e.notes(indent, f, fv, here, YAML)
		sampled, active, ok := given(f, fv)
		if !ok {
			continue
		}
		hash := "#"
		if active && !off {
			hash = ""
		}
		e.b.WriteString(indent + hash + yamlKey(f.key) + ": " + written(sampled) + "\n")
	}
}

// yamlKey quotes a key that yaml would not read as it stands.
func yamlKey(key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return !isWord(r) || r >= 0x80 }) || key[0] == '-' || strings.Trim(key, "0123456789_-") == "" {
		return string(appendString(nil, key))
	}
	return key
}

func (e *exampler) toml(c *codec, v reflect.Value, path []string, depth int, off bool) {
	for i := range c.fields {
		f := &c.fields[i]
		fv := v.FieldByIndex(f.index)
		if inner, _, _ := down(f, fv); inner != nil {
			continue
		}
		e.notes("", f, fv, append(slices.Clone(path), f.key), TOML)
		sampled, active, ok := given(f, fv)
		if !ok || written(sampled) == "null" {
			continue
		}
		hash := "#"
		if active && !off {
			hash = ""
		}
		e.b.WriteString(hash + tomlKeyText(f.key) + " = " + string(appendTOML(nil, sampled)) + "\n")
	}
	for i := range c.fields {
		f := &c.fields[i]
		inner, iv, optional := down(f, v.FieldByIndex(f.index))
		if inner == nil || depth >= maxExample {
			continue
		}
		e.b.WriteByte('\n')
		if f.doc != "" {
			e.b.WriteString("# " + strings.ReplaceAll(f.doc, "\n", " ") + "\n")
		}
		here := append(slices.Clone(path), f.key)
		hash := ""
		if off || optional {
			hash = "#"
		}
		e.b.WriteString(hash + "[" + tomlPath(here) + "]\n")
		e.toml(inner, iv, here, depth+1, off || optional)
	}
}

func tomlKeyText(key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool { return !isWord(r) || r >= 0x80 }) {
		return string(appendString(nil, key))
	}
	return key
}

func tomlPath(path []string) string {
	parts := make([]string, len(path))
	for i, p := range path {
		parts[i] = tomlKeyText(p)
	}
	return strings.Join(parts, ".")
}

// appendTOML is appendJSON with toml's inline tables. Null has no form there:
// what is null is left out.
func appendTOML(b []byte, v reflect.Value) []byte {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return append(b, `""`...)
		}
		v = v.Elem()
	}
	entry := func(first bool, key string, value reflect.Value) bool {
		for value.Kind() == reflect.Pointer || value.Kind() == reflect.Interface {
			if value.IsNil() {
				return first
			}
			value = value.Elem()
		}
		if !first {
			b = append(b, ", "...)
		}
		b = append(append(b, tomlKeyText(key)...), " = "...)
		b = appendTOML(b, value)
		return false
	}
	c, err := codecOf(v.Type())
	switch {
	case err == nil && c.kind == structCodec:
		b = append(b, '{')
		first := true
		for i := range c.fields {
			first = entry(first, c.fields[i].key, v.FieldByIndex(c.fields[i].index))
		}
		return append(b, '}')
	case err == nil && c.kind == mapCodec:
		b = append(b, '{')
		first := true
		for _, k := range sortedKeys(v) {
			first = entry(first, showValue(k), v.MapIndex(k))
		}
		return append(b, '}')
	case err == nil && c.kind == listCodec:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ", "...)
			}
			b = appendTOML(b, v.Index(i))
		}
		return append(b, ']')
	}
	text := appendJSON(nil, v, appendLiteral)
	if v.CanFloat() && !strings.ContainsAny(string(text), ".e\"") {
		text = append(text, ".0"...)
	}
	return append(b, text...)
}

func (e *exampler) json(c *codec, v reflect.Value, depth int) {
	indent := strings.Repeat("  ", depth+1)
	e.b.WriteString("{")
	first := true
	for i := range c.fields {
		f := &c.fields[i]
		fv := v.FieldByIndex(f.index)
		inner, iv, optional := down(f, fv)
		var sampled reflect.Value
		active, ok := false, true
		if inner == nil {
			sampled, active, ok = given(f, fv)
		}
		if optional || !ok || f.secret && !active || f.rules.optional && isUnset(fv) || inner != nil && depth >= maxExample {
			continue
		}
		if !first {
			e.b.WriteString(",")
		}
		first = false
		e.b.WriteString("\n" + indent + string(appendString(nil, f.key)) + ": ")
		if inner != nil {
			e.json(inner, iv, depth+1)
			continue
		}
		e.b.WriteString(written(sampled))
	}
	if !first {
		e.b.WriteString("\n" + indent[2:])
	}
	e.b.WriteString("}")
}

func (e *exampler) variable(l leaf) {
	e.notes("", l.field, l.value, l.path, ENV)
	v, active, ok := given(l.field, l.value)
	if !ok {
		return
	}
	hash := "#"
	if active && !l.off {
		hash = ""
	}
	e.b.WriteString(hash + EnvName(e.prefix, l.path...) + "=" + dotEnvText(variableText(v)) + "\n")
}

// variableText is what a variable holds so that v is loaded from it. There are
// no aliases within a list or map in a variable.
func variableText(v reflect.Value) string {
	text := Redacted(flagText(v))
	switch reflect.Indirect(v).Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return text
	}
	return literal(text)
}

// dotEnvText quotes a value where a .env file needs it.
func dotEnvText(s string) string {
	if !strings.ContainsAny(s, "\n\r'\"#\\ \t") {
		return s
	}
	if !strings.ContainsAny(s, "'\n\r") {
		return "'" + s + "'"
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "$", `\$`).Replace(s) + `"`
}
