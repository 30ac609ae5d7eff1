package settings

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Load reads the sources into a T that begins as defaults, and checks every rule. All mistakes come in one
// [Errors]; the T is then the zero value. The defaults are not changed, but maps, lists and pointers of theirs
// that no source touches are shared with the result.
func Load[T any](defaults T, options ...Option) (T, error) {
	t := open(newConfig(options))
	out, errs := decodeTree(t, t.config, defaults)
	return unlessWrong(out, append(slices.Clone(t.errs), errs...))
}

// unlessWrong returns a value, or its mistakes in place of it.
func unlessWrong[V any](v V, errs []*Error) (V, error) {
	if err := join(errs); err != nil {
		var zero V
		return zero, err
	}
	return v, nil
}

// Decode is Load over sources that are open already. It uses the options about unknown keys, merging and checks;
// where it has none, those of Open hold. It does not repeat the mistakes of the sources, which Open has returned,
// but it returns no T while there are any.
func Decode[T any](tree *Tree, defaults T, options ...Option) (T, error) {
	out, errs := decodeTree(tree, tree.config.with(options), defaults)
	if len(errs) == 0 {
		errs = tree.errs
	}
	return unlessWrong(out, errs)
}

// with is the options of Open with those of a Decode over them.
func (c *config) with(options []Option) *config {
	own := newConfig(options)
	out := *c
	out.allowUnknown = c.allowUnknown || own.allowUnknown
	out.shared = c.shared || own.shared
	out.foreign = append(slices.Clone(c.foreign), own.foreign...)
	out.lists, out.maps = cmp.Or(own.lists, c.lists), cmp.Or(own.maps, c.maps)
	out.checks = append(slices.Clone(c.checks), own.checks...)
	return &out
}

func decodeTree[T any](t *Tree, c *config, defaults T) (T, []*Error) {
	plan, err := codecOf(reflect.TypeFor[T]())
	if err != nil {
		return defaults, Mistakes(err)
	}
	if plan.kind != structCodec {
		return defaults, []*Error{{Kind: KindLayout, Problem: fmt.Sprintf("a layout is a struct, not a %s", plan.typ)}}
	}
	d := newDecoder(t, c, plan)
	d.layout(reflect.ValueOf(&defaults).Elem())
	return defaults, d.errs
}

// decoder fills one value from a tree.
type decoder struct {
	tree    *Tree
	config  *config
	plan    *codec
	path    []string
	find    source.Finder
	errs    []*Error
	secrets map[*source.Node]bool               // nodes that some secret field reads, for aliases of them
	marked  map[marked]bool                     // what was looked at for secrets, far down
	vars    []string                            // known variables, made when one is unknown
	visited int                                 // values that were read
	stopped bool                                // at too many of them
	trace   func(path []string, n *source.Node) // of Explain: what each field was read from
}

func newDecoder(t *Tree, c *config, plan *codec) *decoder {
	d := &decoder{tree: t, config: c, plan: plan}
	if plan.hasSecret {
		d.secrets = map[*source.Node]bool{}
		d.markSecrets(plan, t.root, 0)
	}
	return d
}

func (d *decoder) layout(v reflect.Value) {
	d.structure(d.plan, d.tree.root, Position{}, v)
	for _, check := range d.config.checks {
		if check.of == d.plan.typ {
			d.checked(guarded("Check", func() error { return check.run(v.Addr().Interface()) }))
		}
	}
	if d.tree.broken {
		d.errs = slices.DeleteFunc(d.errs, func(e *Error) bool { return e.Kind == KindRequired })
	}
	d.tree.claim(d.plan.keys)
}

// fail reports a mistake and returns false.
func (d *decoder) fail(e *Error) bool {
	if e.Path == "" {
		e.Path = joinPath(d.path)
	}
	d.errs = report(d.errs, e)
	return false
}

// value reads n into v as c says. hide keeps its text out of messages.
func (d *decoder) value(c *codec, f *field, n *source.Node, v reflect.Value, hide bool) bool {
	if n.Bad {
		return false
	}
	if d.visited++; d.visited > 10*source.MaxExpanded {
		return d.tooMuch(n)
	}
	hide = hide || d.hidden(n)
	switch c.kind {
	case scalarCodec:
		if m := c.set(n, v); m != nil {
			return d.misfit(c, n, m, hide)
		}
		return true
	case structCodec:
		return d.section(c, n, v, hide)
	case listCodec:
		return d.list(c, f, n, v, hide)
	case mapCodec:
		return d.mapping(c, f, n, v, hide)
	case pointerCodec:
		if n.Kind == source.Null {
			v.SetZero()
			return true
		}
		p := reflect.New(c.elem.typ)
		if !v.IsNil() {
			p.Elem().Set(v.Elem())
		}
		ok := d.value(c.elem, f, n, p.Elem(), hide)
		v.Set(p)
		return ok
	case secretCodec:
		inner := reflect.New(c.elem.typ).Elem()
		if !d.value(c.elem, f, n, inner, true) {
			return false
		}
		if inner.Kind() == reflect.String && inner.String() == Mask {
			return d.fail(&Error{Kind: KindType, Pos: positionOf(n),
				Problem: "found " + Mask + ", which is printed in place of a secret: give the secret itself"})
		}
		v.Set(reflect.ValueOf(v.Interface().(secretType).hide(inner)))
		return true
	}
	left := 10*source.MaxExpanded - d.visited
	raw := rawWithin(n, &left)
	if d.visited = 10*source.MaxExpanded - left; left < 0 {
		return d.tooMuch(n)
	}
	if raw != nil {
		v.Set(reflect.ValueOf(raw))
	} else {
		v.SetZero()
	}
	return true
}

// tooMuch reports, once, that aliases of aliases make the settings grow.
func (d *decoder) tooMuch(n *source.Node) bool {
	if !d.stopped {
		d.stopped = true
		d.fail(&Error{Kind: KindAlias, Pos: positionOf(n),
			Problem: "the settings grow to more than a million values by their aliases"})
	}
	return false
}

// misfit reports a value that does not fit its type and returns false.
func (d *decoder) misfit(c *codec, n *source.Node, m *misfit, hide bool) bool {
	e := &Error{Kind: KindType, Pos: positionOf(n)}
	problem := m.problem
	if problem == "" {
		problem = "expected " + c.expect + ", found"
	}
	e.Problem = problem + " " + n.What(hide) + m.hint
	if alias := n.More().Alias; alias != "" {
		e.Problem += " by the alias " + source.QuoteKey(alias)
	}
	if !hide {
		e.Suggestion = m.suggestion
		if e.Err = m.err; m.err != nil {
			e.Problem += ": " + m.err.Error()
		}
	}
	return d.fail(e)
}

// section reads a struct from a map, or from the JSON of a variable.
func (d *decoder) section(c *codec, n *source.Node, v reflect.Value, hide bool) bool {
	at := positionOf(n)
	switch n = present(n); n.Kind {
	case source.Map:
	case source.Null:
		n = nil
	default:
		if m := fromText(n, '{'); m != nil {
			n = m
			break
		}
		return d.misfit(c, n, errNotThis, hide || c.hasSecret)
	}
	before := len(d.errs)
	d.structure(c, n, at, v)
	return len(d.errs) == before
}

// structure fills a struct's fields and checks those that nothing gives.
func (d *decoder) structure(c *codec, n *source.Node, at Position, v reflect.Value) {
	var few [64]*source.Node
	given := few[:]
	if len(c.fields) > len(few) {
		given = make([]*source.Node, len(c.fields))
	}
	if n != nil {
		for i := range n.Kids {
			k := &n.Kids[i]
			if i, ok := c.byKey[k.Key]; ok {
				if given[i] != nil { // doubled, which is reported already; both are judged
					scratch := reflect.New(c.fields[i].codec.typ).Elem()
					scratch.Set(v.FieldByIndex(c.fields[i].index))
					d.entry(&c.fields[i], given[i], at, scratch)
				}
				given[i] = k.Node
			} else if fi := d.fileField(c, k, n); fi >= 0 {
				if read := d.fromFile(&c.fields[fi], k, n); read != nil {
					given[fi] = read
				}
			} else {
				d.unknown(c, *k)
			}
		}
	}
	for i := range c.fields {
		d.entry(&c.fields[i], given[i], at, v.FieldByIndex(c.fields[i].index))
	}
	if c.zeros != nil {
		c.noteZeros(v, given)
	}
	if c.validates {
		d.checked(guarded("Validate", v.Addr().Interface().(interface{ Validate() error }).Validate))
	}
}

// guarded calls a method of the service's own. Its panic is a mistake of the settings: a file that changes while
// the service runs must not end it.
func guarded(method string, call func() error) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case error, string:
			err = fmt.Errorf("its %s panicked: %v", method, p)
		default: // it may hold itself
			err = fmt.Errorf("its %s panicked with a %T", method, p)
		}
	}()
	return call()
}

// noteZeros writes down which of the given keys are zero.
func (c *codec) noteZeros(v reflect.Value, given []*source.Node) {
	var keys []string
	for i := range c.fields {
		if given[i] != nil && v.FieldByIndex(c.fields[i].index).IsZero() {
			keys = append(keys, c.fields[i].key)
		}
	}
	v.FieldByIndex(c.zeros).SetString(strings.Join(keys, ","))
}

// meansZero reports whether a field's zero is given, and not only the absence of a value.
func (c *codec) meansZero(v reflect.Value, f *field) bool {
	return c.zeros != nil && slices.Contains(strings.Split(v.FieldByIndex(c.zeros).String(), ","), f.key)
}

func (d *decoder) entry(f *field, n *source.Node, section Position, v reflect.Value) {
	d.path = append(d.path, f.key)
	d.field(f, n, section, v)
	d.path = d.path[:len(d.path)-1]
}

func (d *decoder) field(f *field, n *source.Node, section Position, v reflect.Value) {
	if n != nil {
		if d.value(f.codec, f, n, v, f.secret) && f.codec.kind != structCodec {
			d.rules(f, n, positionOf(n), v)
		}
	} else {
		switch {
		case (f.rules.required || f.must) && isUnset(v):
			d.required(f, section)
		case f.codec.kind == structCodec:
			d.structure(f.codec, nil, section, v)
		default:
			d.rules(f, nil, section, v)
		}
	}
	if d.trace != nil {
		d.trace(d.path, n)
	}
}
