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
	row := func(cells ...string) {
		if prefix == "" {
			cells = slices.Delete(cells, 3, 4) // no variables
		}
		for _, cell := range cells {
			b.WriteString("| " + strings.NewReplacer("|", `\|`, "\n", " ").Replace(cell) + " ")
		}
		b.WriteString("|\n")
	}
	row("Setting", "Type and rules", "Default", "Variable", "Live", "What it is")
	b.WriteString(strings.Repeat("|---", strings.Count(b.String(), "|")-1) + "|\n")
	l.each(rows(row, prefix, true))
	return []byte(b.String())
}

// rows returns a function that writes the row of a setting, and below it those of the sections that its list or
// map holds. These have no variable: named is false.
func rows(row func(cells ...string), prefix string, named bool) func(leaf) {
	return func(l leaf) {
		if l.section {
			return
		}
		variable := ""
		if named {
			variable = "`" + EnvName(prefix, l.path...) + "`"
		}
		live := ""
		if l.field.live {
			live = "yes"
		}
		row(append(cells(l), variable, live, l.field.doc)...)
		elem := l.field.codec.pointee()
		if (elem.kind == listCodec || elem.kind == mapCodec) && elem.elem.kind == structCodec &&
			len(l.path) <= maxExample {
			inside := append(slices.Clone(l.path), "N")
			if elem.kind == mapCodec {
				inside[len(inside)-1] = "NAME"
			}
			eachLeaf(elem.elem, reflect.Zero(elem.elem.typ), inside, false, rows(row, prefix, false))
		}
	}
}

// cells are a setting's path, its type and rules, and its default.
func cells(l leaf) []string {
	f, def := l.field, ""
	switch {
	case f.secret && !isUnset(l.value):
		def = Mask
	case !isUnset(l.value):
		def = "`" + strings.ReplaceAll(show(l.value, f.codec.hasSecret), "`", "'") + "`"
	case f.rules.required || f.must:
		def = "required"
	}
	kind := describe(f)
	if f.secret {
		kind += ", secret"
	}
	return []string{"`" + joinPath(l.path) + "`", kind, def}
}
