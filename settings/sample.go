package settings

import (
	"reflect"
	"regexp/syntax"
	"strings"
)

// sample finds a value for an example: the default if it would load, else one
// that the type takes and the rules let pass. It gives false where it finds none.
func sample(c *codec, f *field, def reflect.Value) (reflect.Value, bool) {
	unset := false
	for c.kind == pointerCodec || c.kind == secretCodec {
		if c.kind == pointerCodec && def.IsValid() && !def.IsNil() {
			def = def.Elem()
		} else {
			def, unset = reflect.Zero(c.elem.typ), true
		}
		c = c.elem
	}
	probe := &field{codec: c, rules: f.rules}
	probe.rules.optional = false // what an example gives is given
	fits := func(v reflect.Value) bool { return keepsRules(probe, v) }
	if def.IsValid() && (!unset || c.kind != scalarCodec) && (!f.rules.required || !isUnset(def)) && fits(def) && readsBack(c, def) {
		return def, true
	}
	switch c.kind {
	case scalarCodec:
		for _, text := range texts(c, f.rules.own) {
			v := reflect.New(c.typ).Elem()
			if c.set(&node{kind: textNode, text: text}, v) == nil && fits(v) {
				return v, true
			}
		}
	case listCodec:
		elem, ok := sample(c.elem, &field{codec: c.elem, rules: ruleSet{own: f.rules.each}}, reflect.Zero(c.elem.typ))
		if !ok || c.typ.Kind() == reflect.Array {
			return def, false
		}
		for n := 1; n < 5; n++ {
			v := reflect.MakeSlice(c.typ, n, n)
			for i := range n {
				v.Index(i).Set(elem)
			}
			if fits(v) {
				return v, true
			}
		}
	case mapCodec:
		elem, ok := sample(c.elem, &field{codec: c.elem, rules: ruleSet{own: f.rules.each}}, reflect.Zero(c.elem.typ))
		key, keyOK := sample(c.key, &field{codec: c.key, rules: ruleSet{own: []rule{{holds: func(v reflect.Value) bool { return showValue(v) != "" }}}}}, reflect.Zero(c.key.typ))
		if ok && keyOK {
			v := reflect.MakeMap(c.typ)
			v.SetMapIndex(key, elem)
			return v, fits(v)
		}
	}
	return def, false
}

// readsBack tells whether what an example prints for v is read as v again.
func readsBack(c *codec, v reflect.Value) bool {
	if c.kind != scalarCodec {
		return true
	}
	text := showValue(v)
	again := reflect.New(c.typ).Elem()
	return c.set(&node{kind: textNode, text: text}, again) == nil && showValue(again) == text
}

// texts are guesses at a value, the likeliest first.
func texts(c *codec, rules []rule) []string {
	var out []string
	for _, r := range rules {
		switch r.name {
		case "oneof":
			out = append(out, r.near...)
		case "min", "max":
			out = append(out, r.arg, strings.Repeat("x", len(r.arg)))
			if n, ok := index(r.arg); ok && n <= 1000 {
				out = append(out, strings.Repeat("x", n), strings.Repeat("X", n))
			}
		case "match":
			if s := matching(r.arg); s != "" {
				out = append(out, s)
			}
		}
	}
	return append(out, "example", "EXAMPLE", "1", "1s", "https://example.org", "localhost:8080", "2006-01-02T15:04:05Z", "info", "127.0.0.1", "127.0.0.1:8080", "10.0.0.0/8", ".*", "true", "/dev/null", "/", "")
}

// matching makes a text that a regular expression matches, or "".
func matching(re string) string {
	parsed, err := syntax.Parse(re, syntax.Perl)
	if err != nil {
		return ""
	}
	var b strings.Builder
	if !writeMatch(&b, parsed) {
		return ""
	}
	return b.String()
}

func writeMatch(b *strings.Builder, re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		if len(re.Rune) == 0 {
			return false
		}
		best := re.Rune[0]
		for _, want := range "ax0" {
			for i := 0; i+1 < len(re.Rune); i += 2 {
				if re.Rune[i] <= want && want <= re.Rune[i+1] {
					b.WriteRune(want)
					return true
				}
			}
		}
		b.WriteRune(best)
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpPlus, syntax.OpCapture:
		return writeMatch(b, re.Sub[0])
	case syntax.OpStar, syntax.OpQuest, syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText:
	case syntax.OpRepeat:
		for range re.Min {
			if !writeMatch(b, re.Sub[0]) {
				return false
			}
		}
	case syntax.OpConcat:
		for _, s := range re.Sub {
			if !writeMatch(b, s) {
				return false
			}
		}
	case syntax.OpAlternate:
		return writeMatch(b, re.Sub[0])
	default:
		return false
	}
	return true
}
