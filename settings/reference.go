package settings

import (
	"reflect"
	"slices"
	"strings"
)

// Reference is a markdown table of every setting, a row each: key, type and
// rules, default, variable (if a prefix is given), what it is.
func (l *Layout) Reference(prefix string) []byte {
	var b strings.Builder
	b.WriteString("| Setting | Type and rules | Default |")
	if prefix != "" {
		b.WriteString(" Variable |")
	}
	b.WriteString(" Live | What it is |\n|---|---|---|")
	if prefix != "" {
		b.WriteString("---|")
	}
	b.WriteString("---|---|\n")
	referenceRows(&b, prefix, l.plan, l.defaults, nil, 0, true)
	return []byte(b.String())
}

func referenceRows(b *strings.Builder, prefix string, c *codec, v reflect.Value, path []string, depth int, named bool) {
	for i := range c.fields {
		f := &c.fields[i]
		fv := v.FieldByIndex(f.index)
		here := append(slices.Clone(path), f.key)
		if inner, iv, _ := down(f, fv); inner != nil {
			if depth < maxExample {
				referenceRows(b, prefix, inner, iv, here, depth+1, named)
			}
			continue
		}
		referenceRow(b, prefix, f, fv, here, named)
		elem := f.codec
		for elem.kind == pointerCodec {
			elem = elem.elem
		}
		if (elem.kind == listCodec || elem.kind == mapCodec) && elem.elem.kind == structCodec && depth < maxExample {
			inside := append(slices.Clone(here), "N")
			if elem.kind == mapCodec {
				inside[len(inside)-1] = "NAME"
			}
			referenceRows(b, prefix, elem.elem, reflect.Zero(elem.elem.typ), inside, depth+1, false)
		}
	}
}

func referenceRow(b *strings.Builder, prefix string, f *field, v reflect.Value, path []string, named bool) {
	def := ""
	switch {
	case f.secret && !isUnset(v):
		def = Mask
	case !isUnset(v):
		def = "`" + strings.ReplaceAll(show(v, f.codec.hasSecret), "`", "'") + "`"
	case f.rules.required || f.must:
		def = "required"
	}
	kind := describe(f)
	if f.secret {
		kind += ", secret"
	}
	cells := []string{"`" + joinPath(path) + "`", kind, def}
	if prefix != "" {
		variable := ""
		if named {
			variable = "`" + EnvName(prefix, path...) + "`"
		}
		cells = append(cells, variable)
	}
	live := ""
	if f.live {
		live = "yes"
	}
	cells = append(cells, live, f.doc)
	for _, cell := range cells {
		b.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(cell) + " ")
	}
	b.WriteString("|\n")
}
