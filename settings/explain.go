package settings

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Entry is one setting with its origin. A secret's value is nowhere in it.
type Entry struct {
	Path     string   `json:"path"`
	Value    string   `json:"value"` // as a settings file has it; a list or map as JSON
	Source   Position `json:"source"`
	Default  bool     `json:"default,omitempty"` // no source gives it
	Alias    string   `json:"alias,omitempty"`   // the alias that it was given by
	Target   Position `json:"target,omitzero"`   // where the alias leads
	Shadowed []Given  `json:"shadowed,omitempty"`
	Secret   bool     `json:"secret,omitempty"`
	Live     bool     `json:"live,omitempty"`
	Doc      string   `json:"doc,omitempty"`
}

// Given is a value that a weaker source gave, and that does not count.
type Given struct {
	Value  string   `json:"value"`
	Source Position `json:"source"` // [Position.String] of the zero one is "default"
}

// Explain loads the sources and returns for each setting its value, where it came from and what it shadowed, the
// strongest first. With an error the entries are those of the values that are right.
func (l *Layout) Explain(options ...Option) ([]Entry, error) {
	t := open(newConfig(options))
	entries, errs := l.explain(t, t.config)
	return entries, join(append(slices.Clone(t.errs), errs...))
}

// ExplainTree is Explain over sources that are open already.
func (l *Layout) ExplainTree(t *Tree, options ...Option) ([]Entry, error) {
	entries, errs := l.explain(t, t.config.with(options))
	return entries, join(errs)
}

// Explain is [Layout.Explain] of what was loaded.
func (v *Values) Explain() []Entry {
	entries, _ := v.layout.explain(v.tree, v.tree.config)
	return entries
}

func (l *Layout) explain(t *Tree, c *config) ([]Entry, []*Error) {
	v := reflect.New(l.plan.typ).Elem()
	v.Set(l.defaults)
	d := newDecoder(t, c, l.plan)
	given := map[string]*source.Node{} // by path, files that variables name included
	d.trace = func(path []string, n *source.Node) {
		if n != nil {
			given[joinPath(path)] = n
		}
	}
	d.layout(v)
	wrong := map[string]bool{}
	for _, e := range d.errs {
		wrong[e.Path] = true
	}
	x := &explainer{d: d, given: given, wrong: wrong}
	x.section(l.plan, v, l.defaults, nil)
	return x.out, d.errs
}

type explainer struct {
	d      *decoder
	sparse bool // within a map's entry: what is not given is not listed
	given  map[string]*source.Node
	wrong  map[string]bool
	out    []Entry
}

func (x *explainer) section(c *codec, v, def reflect.Value, path []string) {
	for i := range c.fields {
		f := &c.fields[i]
		here := append(slices.Clone(path), f.key)
		var was reflect.Value
		if def.IsValid() {
			was = def.FieldByIndex(f.index)
		}
		fv, n := v.FieldByIndex(f.index), x.given[joinPath(here)]
		if x.sparse && n == nil && fv.IsZero() && f.codec.kind != structCodec && !c.meansZero(v, f) {
			continue
		}
		x.value(f, f.codec, fv, was, n, here, f.secret)
	}
}

func (x *explainer) value(f *field, c *codec, v, def reflect.Value, n *source.Node, path []string, hide bool) {
	hide = hide || x.d.hidden(n) || c.kind != structCodec && c.kind != mapCodec && x.d.holdsHidden(n)
	switch {
	case c.kind == pointerCodec && !v.IsNil():
		if def.IsValid() {
			def = def.Elem() // the zero Value if it was nil
		}
		x.value(f, c.elem, v.Elem(), def, n, path, hide)
		return
	case c.kind == structCodec:
		x.section(c, v, def, path)
		return
	case c.kind == mapCodec && v.Len() > 0:
		if n != nil && n.Kind == source.Text {
			n = entries(n)
		}
		n, _ = sameCase(n, mapKeys(v))
		for _, k := range sortedKeys(v) {
			elem, was := v.MapIndex(k), reflect.Value{}
			if def.IsValid() && def.Len() > 0 {
				was = def.MapIndex(k)
			}
			outer := x.sparse
			x.sparse = true
			x.value(f, c.elem, elem, was, x.d.find.At(n, showValue(k)), append(slices.Clone(path), showValue(k)), hide)
			x.sparse = outer
		}
		return
	case c.kind == listCodec && v.Len() > 0 && c.elem.within() == structCodec && n != nil && n.Kind == source.List &&
		len(n.Kids) == v.Len():
		for i := range v.Len() {
			segment := strconv.Itoa(i)
			x.value(f, c.elem, v.Index(i), reflect.Value{}, n.At(segment), append(slices.Clone(path), segment), hide)
		}
		return
	}
	text := joinPath(path)
	if x.wrong[text] {
		return
	}
	hide = hide || c.hasSecret && c.kind != secretCodec
	e := Entry{Path: text, Secret: f.secret || hide, Live: f.live, Doc: f.doc, Value: show(v, hide || f.secret)}
	if n == nil {
		e.Default = true
	} else {
		e.Source = positionOf(n)
		if ref := n.More().Ref; n.Bad && ref != nil { // not read: see [Unread]
			e.Value, e.Source = ref.Text, positionOf(ref)
		}
		if more := n.More(); more.Via != nil {
			e.Alias, e.Target = more.Alias, positionOf(more.Via)
		}
		for w := n.Over; w != nil; w = w.Over {
			value := showNode(w, e.Secret || x.d.holdsHidden(w))
			e.Shadowed = append(e.Shadowed, Given{Value: value, Source: positionOf(w)})
		}
		if def.IsValid() && !isUnset(def) {
			e.Shadowed = append(e.Shadowed, Given{Value: show(def, e.Secret)})
		}
	}
	x.out = append(x.out, e)
}

func show(v reflect.Value, hide bool) string {
	if hide {
		if isUnset(v) {
			return ""
		}
		return Mask
	}
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return "null"
		}
		v = v.Elem()
	}
	return Redacted(flagText(v))
}

func showNode(n *source.Node, hide bool) string {
	switch {
	case hide:
		return Mask
	case n.Kind == source.Null:
		return "null"
	case n.Kind == source.List || n.Kind == source.Map:
		b, err := json.Marshal(raw(n))
		if err != nil {
			return n.What(true)
		}
		return Redacted(string(b))
	}
	return Redacted(n.Text)
}

// WriteExplain writes entries for people: a line a setting with where it came from, and under it what it
// shadowed.
func WriteExplain(w io.Writer, entries []Entry) error {
	wide := 0
	for _, e := range entries {
		wide = max(wide, min(len(e.Path)+3+len(e.Value), 60))
	}
	var b strings.Builder
	for _, e := range entries {
		from := e.Source.String()
		if e.Alias != "" {
			from += " by " + e.Alias + " of " + e.Target.String()
		}
		fmt.Fprintf(&b, "%-*s  # %s\n", wide, e.Path+" = "+e.Value, from)
		for _, s := range e.Shadowed {
			fmt.Fprintf(&b, "    over %s  # %s\n", s.Value, s.Source)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
