package settings

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"
)

// Example returns a file that lists every setting with its description, type, rules and default, as YAML or as
// the ENV of a .env file. Notes are lines like "# text". Settings are commented out, like "#key: value", so a
// service follows when a default changes. A setting that must be given is not commented out in yaml and has no
// value there; a secret and an optional setting without a default have no value either. prefix is the prefix of
// the variables: yaml notes name them, a .env file consists of them; it may be "" for yaml only.
//
// The file loads once every setting that must be given has a value.
func (l *Layout) Example(format Format, prefix string) ([]byte, error) {
	e := &exampler{prefix: prefix}
	switch {
	case format == YAML:
		l.each(e.yaml)
	case format == ENV && prefix == "":
		return nil, fmt.Errorf("settings: an example of variables needs their prefix")
	case format == ENV:
		l.each(e.variable)
	default:
		return nil, fmt.Errorf("settings: there is no example in %s: use yaml or env", format)
	}
	return []byte(strings.TrimPrefix(e.b.String(), "\n")), nil
}

type exampler struct {
	b      strings.Builder
	prefix string
}

// notes writes the comment lines above a setting.
func (e *exampler) notes(indent string, l leaf, variable string) {
	f := l.field
	e.b.WriteString("\n")
	if f.doc != "" {
		for line := range strings.SplitSeq(f.doc, "\n") {
			e.b.WriteString(indent + "# " + strings.TrimSpace(line) + "\n")
		}
	}
	if l.section {
		return
	}
	note := describe(f)
	if f.secret {
		note += ", secret"
	}
	if f.live {
		note += ", may change live"
	}
	if e.prefix != "" {
		note += variable
	}
	e.b.WriteString(indent + "# " + strings.ReplaceAll(note, "\n", " ") + "\n")
}

func (e *exampler) yaml(l leaf) {
	indent := strings.Repeat("  ", len(l.path)-1)
	e.notes(indent, l, ", "+EnvName(e.prefix, l.path...))
	must, shown := l.given()
	value := ""
	if shown && !l.section {
		value = " " + written(l.value)
	}
	hash := "#"
	if (must || l.section) && !l.off {
		hash = ""
	}
	e.b.WriteString(indent + hash + yamlKey(l.field.key) + ":" + value + "\n")
}

func (e *exampler) variable(l leaf) {
	if l.section {
		return
	}
	e.notes("", l, "")
	value := ""
	if _, shown := l.given(); shown {
		value = dotEnvText(variableText(l.value))
	}
	e.b.WriteString("#" + EnvName(e.prefix, l.path...) + "=" + value + "\n")
}

// given reports whether a setting must be given, and whether an example shows its default: not that of a secret,
// and not a default that would be a mistake if a file gave it.
func (l leaf) given() (must, shown bool) {
	f := l.field
	if l.section || (f.rules.required || f.must) && isUnset(l.value) || !keepsRules(f, l.value) {
		return true, false
	}
	strict := *f
	strict.rules.optional = false
	return false, !f.secret && !f.codec.hasSecret && keepsRules(&strict, l.value)
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

// yamlKey quotes a key that yaml would not read as it stands.
func yamlKey(key string) string {
	if plainKey.MatchString(key) && strings.Trim(key, "0123456789_-") != "" {
		return key
	}
	return string(appendString(nil, key))
}

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_-]*$`)

// variableText is what a variable holds so that v is loaded from it. There are no aliases within a list or map in
// a variable.
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
