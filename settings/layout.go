package settings

import (
	"flag"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Layout is what settings there are: names, types, defaults, rules. It comes of a struct ([LayoutOf]) or of items
// ([NewLayout]) and can be loaded, explained and described without knowing the struct's type. It is not changed
// once it is made.
type Layout struct {
	plan     *codec
	defaults reflect.Value // of plan.typ, not to be written
}

// LayoutOf is the layout of a struct, or of a pointer to one; its values are the defaults. The error is an
// [Errors] of every mistake in its tags.
func LayoutOf(defaults any) (*Layout, error) {
	v := reflect.ValueOf(defaults)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return nil, &Error{Kind: KindLayout, Problem: fmt.Sprintf("a layout is a struct, not a %T", defaults)}
	}
	plan, err := codecOf(v.Type())
	if err != nil {
		return nil, err
	}
	if plan.kind != structCodec {
		return nil, &Error{Kind: KindLayout, Problem: fmt.Sprintf("a %T is a single value, not a layout", defaults)}
	}
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	return &Layout{plan: plan, defaults: own}, nil
}

// Item is one setting of a layout that has no struct.
type Item struct {
	Name    string       // dotted path, like "tasks.workers"; a name with a dot in it stands in double quotes
	Default any          // what it is if no source gives it; nil makes the item required
	Type    reflect.Type // of the value; nil is the default's type, and any if there is no default
	Rules   string       // see [Rules]
	Check   func(any) error
	Doc     string
	Secret  bool
	Live    bool // may change without a restart, see [Diff]
}

// NewLayout is the layout of items. The error is an [Errors] of every mistake in them.
func NewLayout(items ...Item) (*Layout, error) {
	root := &itemNode{}
	var errs []*Error
	for i := range items {
		path, err := splitPath(items[i].Name)
		if err == nil {
			err = root.add(path, &items[i])
		}
		if err != nil {
			errs = append(errs, &Error{Kind: KindLayout, Path: items[i].Name, Problem: err.Error()})
		}
	}
	if len(errs) > 0 {
		return nil, join(errs)
	}
	typ := root.structType()
	b := &planner{making: map[planned]*codec{}}
	plan := b.make(planned{typ: typ})
	b.spreadSecrets()
	defaults := reflect.New(typ).Elem()
	if len(b.errs) == 0 {
		b.errs = root.install(plan, defaults)
	}
	if len(b.errs) > 0 {
		return nil, join(b.errs)
	}
	return &Layout{plan: plan, defaults: defaults}, nil
}

// itemNode is a section of items, or one item.
type itemNode struct {
	name string
	item *Item
	kids []*itemNode
}

func (n *itemNode) add(path []string, item *Item) error {
	if path[0] == "" || path[0] == "-" {
		return fmt.Errorf("an item or section cannot be named %q", path[0])
	}
	for _, k := range n.kids {
		if k.name != path[0] {
			continue
		}
		if len(path) == 1 || k.item != nil {
			return fmt.Errorf("the name is an item already, or a section of other items")
		}
		return k.add(path[1:], item)
	}
	k := &itemNode{name: path[0]}
	n.kids = append(n.kids, k)
	if len(path) == 1 {
		k.item = item
		return nil
	}
	return k.add(path[1:], item)
}

// structType makes a struct of the section, so that layouts of items are read by the very code that reads
// structs.
func (n *itemNode) structType() reflect.Type {
	fields := make([]reflect.StructField, len(n.kids))
	for i, k := range n.kids {
		f := reflect.StructField{Name: "F" + strconv.Itoa(i)}
		tag := "key:" + strconv.Quote(k.name)
		if k.item == nil {
			f.Type = k.structType()
		} else {
			f.Type = k.item.typ()
			tag += " rule:" + strconv.Quote(k.item.Rules) + " doc:" + strconv.Quote(k.item.Doc) +
				" secret:" + strconv.Quote(strconv.FormatBool(k.item.Secret)) + " live:" +
				strconv.Quote(strconv.FormatBool(k.item.Live))
		}
		f.Tag = reflect.StructTag(tag)
		fields[i] = f
	}
	return reflect.StructOf(fields)
}

func (i *Item) typ() reflect.Type {
	switch {
	case i.Type != nil:
		return i.Type
	case i.Default != nil:
		return reflect.TypeOf(i.Default)
	}
	return anyType
}

// install puts the items' defaults and checks in their places.
func (n *itemNode) install(c *codec, v reflect.Value) (errs []*Error) {
	for i, k := range n.kids {
		f, at := &c.fields[i], v.Field(i)
		if k.item == nil {
			errs = append(errs, k.install(f.codec, at)...)
			continue
		}
		f.name, f.check, f.must = k.item.Name, k.item.Check, k.item.Default == nil
		if k.item.Default == nil {
			continue
		}
		given := reflect.ValueOf(k.item.Default)
		if given.Type() == at.Type() {
			at.Set(given)
			continue
		}
		// A default of another type, like "90s" for a duration, is read as a value of a source.
		text := &source.Node{Kind: source.Text, Text: showValue(given), From: &source.Origin{}}
		d := &decoder{tree: &Tree{root: text}, config: &config{}, plan: f.codec, path: []string{k.item.Name}}
		if !d.value(f.codec, f, text, at, f.secret) {
			for _, e := range d.errs {
				e.Kind, e.Problem = KindLayout, "its default: "+e.Problem
			}
			errs = append(errs, d.errs...)
		}
	}
	return errs
}

// Load reads the sources; see [Load].
func (l *Layout) Load(options ...Option) (*Values, error) {
	t := open(newConfig(options))
	values, errs := l.decode(t, t.config)
	return unlessWrong(values, append(slices.Clone(t.errs), errs...))
}

// Decode reads sources that are open already; see [Decode].
func (l *Layout) Decode(tree *Tree, options ...Option) (*Values, error) {
	values, errs := l.decode(tree, tree.config.with(options))
	if len(errs) == 0 {
		errs = tree.errs
	}
	return unlessWrong(values, errs)
}

func (l *Layout) decode(t *Tree, c *config) (*Values, []*Error) {
	v := reflect.New(l.plan.typ).Elem()
	v.Set(l.defaults)
	d := newDecoder(t, c, l.plan)
	d.layout(v)
	return &Values{tree: t, layout: l, value: v}, d.errs
}

// Check returns every mistake of the sources, and nothing else.
func (l *Layout) Check(options ...Option) error {
	_, err := l.Load(options...)
	return err
}

// Flags puts a flag for each setting that is no list or map of sections into fs, named by its dotted path. Give
// fs to the source [Flags] once it is parsed. Defaults are shown but not set: a flag that is not given gives
// nothing.
func (l *Layout) Flags(fs *flag.FlagSet) {
	l.each(func(e leaf) {
		name := joinPath(e.path)
		if e.section || fs.Lookup(name) != nil || strings.HasPrefix(name, "-") || strings.Contains(name, "=") {
			return
		}
		shown := ""
		if !e.field.secret && !isUnset(e.value) {
			shown = Redacted(flagText(e.value))
		}
		fs.Var(&settingFlag{path: slices.Clone(e.path), shown: shown,
			boolean: e.field.codec.typ.Kind() == reflect.Bool}, name, e.field.doc)
	})
}

func flagText(v reflect.Value) string {
	switch v = pointee(v); v.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return compact(v)
	}
	return showValue(v)
}

// leaf is one setting, or a section around others.
type leaf struct {
	path    []string
	field   *field
	value   reflect.Value // its default
	section bool
	off     bool // a section around it is left out by default
}

// each calls do for every section and setting, in the order of the layout. A section behind a nil pointer has
// zero values.
func (l *Layout) each(do func(leaf)) { eachLeaf(l.plan, l.defaults, nil, false, do) }

func eachLeaf(c *codec, v reflect.Value, path []string, off bool, do func(leaf)) {
	for i := range c.fields {
		f := &c.fields[i]
		here, fv := append(slices.Clone(path), f.key), v.FieldByIndex(f.index)
		inner, iv, optional := down(f, fv)
		switch {
		case inner == nil:
			do(leaf{path: here, field: f, value: fv, off: off})
		case len(here) <= maxExample:
			do(leaf{path: here, field: f, value: fv, section: true, off: off || optional})
			eachLeaf(inner, iv, here, off || optional, do)
		}
	}
}

// down returns the section that a field is or points to.
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

// maxExample is the most levels of sections that are described: a struct that holds itself has no last one.
const maxExample = 6
