package settings

import (
	"reflect"
	"slices"
	"strings"
)

// Reference is a markdown table of every setting, a row each: key, type and rules, default, variable (if a prefix
// is given), what it is.
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
	l.each(rows(&b, prefix, true))
	return []byte(b.String())
}

// rows returns a function that writes the row of a setting, and below it those of the sections that its list or
// map holds. These have no variable: named is false.
func rows(b *strings.Builder, prefix string, named bool) func(leaf) {
	return func(l leaf) {
		if l.section {
			return
		}
		referenceRow(b, prefix, l.field, l.value, l.path, named)
		elem := l.field.codec.pointee()
		if (elem.kind == listCodec || elem.kind == mapCodec) && elem.elem.kind == structCodec && len(l.path) <= maxExample {
			inside := append(slices.Clone(l.path), "N")
			if elem.kind == mapCodec {
				inside[len(inside)-1] = "NAME"
			}
			eachLeaf(elem.elem, reflect.Zero(elem.elem.typ), inside, false, rows(b, prefix, false))
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
