package settings

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Load reads the sources into a T that begins as defaults, and checks every
// rule. All mistakes come in one [Errors]; the T is then the zero value.
// The defaults are not changed, but maps, lists and pointers of theirs that no
// source touches are shared with the result.
func Load[T any](defaults T, options ...Option) (T, error) {
	c := newConfig(options)
	t := open(c)
	out, errs := decodeTree(t, c, defaults)
	if all := append(slices.Clone(t.errs), errs...); len(all) > 0 {
		var zero T
		return zero, join(all)
	}
	return out, nil
}

// Decode is Load over sources that are open already. Of the options those
// about unknown keys, merging and checks are looked at; what Open was given
// holds where Decode is given nothing. Mistakes of the sources, which Open has
// told, are not told again, but no T is given while there are any.
func Decode[T any](tree *Tree, defaults T, options ...Option) (T, error) {
	out, errs := decodeTree(tree, tree.config.with(options), defaults)
	if len(errs) == 0 && len(tree.errs) == 0 {
		return out, nil
	}
	var zero T
	if len(errs) == 0 {
		return zero, join(tree.errs)
	}
	return zero, join(errs)
}

// with is the options of Open with those of a Decode over them.
func (c *config) with(options []Option) *config {
	own := newConfig(options)
	out := *c
	out.allowUnknown = c.allowUnknown || own.allowUnknown
	out.shared = c.shared || own.shared
	out.foreign = append(slices.Clone(c.foreign), own.foreign...)
	if own.lists != 0 {
		out.lists = own.lists
	}
	if own.maps != 0 {
		out.maps = own.maps
	}
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
	errs    []*Error
	secrets map[*node]bool // nodes that some secret field reads, for aliases of them
	vars    []string       // known variables, made when one is unknown
	visited int
	trace   func(path []string, n *node) // of Explain: what each field was read from
}

func newDecoder(t *Tree, c *config, plan *codec) *decoder {
	d := &decoder{tree: t, config: c, plan: plan}
	if plan.hasSecret {
		d.secrets = map[*node]bool{}
		d.markSecrets(plan, t.root, 0)
	}
	return d
}

func (d *decoder) layout(v reflect.Value) {
	d.structure(d.plan, d.tree.root, Position{}, v)
	for _, check := range d.config.checks {
		if check.of == d.plan.typ {
			d.checked(v, check.run(v.Addr().Interface()))
		}
	}
	if d.tree.broken {
		d.errs = slices.DeleteFunc(d.errs, func(e *Error) bool { return e.Kind == KindRequired })
	}
	d.tree.claim(d.plan.keys)
}

// markSecrets notes the values that secret fields read, before anything is
// told about them.
func (d *decoder) markSecrets(c *codec, n *node, depth int) {
	if n == nil || !c.hasSecret || depth > 64 {
		return
	}
	switch c.kind {
	case secretCodec:
		d.hide(n, 0)
	case pointerCodec:
		d.markSecrets(c.elem, n, depth+1)
	case listCodec, mapCodec:
		for _, k := range n.kids {
			d.markSecrets(c.elem, k.node, depth+1)
		}
	case structCodec:
		for i := range c.fields {
			f := &c.fields[i]
			if f.secret {
				d.hide(n.get(f.key), 0)
				d.hide(n.get(f.key+fileSuffix), 0)
			}
			d.markSecrets(f.codec, n.get(f.key), depth+1)
		}
	}
}

func (d *decoder) hide(n *node, depth int) {
	for ; n != nil && depth < 64; n = n.more().via {
		d.secrets[n] = true
		for _, k := range n.kids {
			d.hide(k.node, depth+1)
		}
	}
}

func (d *decoder) hidden(n *node) bool {
	return d.secrets != nil && n != nil && (d.secrets[n] || d.secrets[n.more().via])
}

func (d *decoder) fail(e *Error) *Error {
	if e.Path == "" {
		e.Path = joinPath(d.path)
	}
	d.errs = append(d.errs, e)
	return e
}

// value reads n into v as c says. hide keeps its text out of messages.
func (d *decoder) value(c *codec, f *field, n *node, v reflect.Value, hide bool) bool {
	if n.bad {
		return false
	}
	if d.visited++; d.visited > 10*maxExpanded {
		if d.visited == 10*maxExpanded+1 {
			d.fail(&Error{Kind: KindSource, Pos: n.pos(), Problem: "the settings grow to more than a million values by their aliases"})
		}
		return false
	}
	hide = hide || d.hidden(n)
	switch c.kind {
	case scalarCodec:
		if m := c.set(n, v); m != nil {
			d.misfit(c, n, m, hide)
			return false
		}
		return true
	case structCodec:
		return d.section(c, n, v, hide)
	case listCodec:
		return d.list(c, f, n, v, hide)
	case mapCodec:
		return d.mapping(c, f, n, v, hide)
	case pointerCodec:
		if n.kind == nullNode {
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
			d.fail(&Error{Kind: KindType, Pos: n.pos(), Problem: "found " + Mask + ", which is printed in place of a secret: give the secret itself"})
			return false
		}
		v.Set(reflect.ValueOf(v.Interface().(secretType).hide(inner)))
		return true
	}
	if raw := n.raw(); raw != nil {
		v.Set(reflect.ValueOf(raw))
	} else {
		v.SetZero()
	}
	return true
}

func (d *decoder) misfit(c *codec, n *node, m *misfit, hide bool) {
	e := &Error{Kind: KindType, Pos: n.pos()}
	problem := m.problem
	if problem == "" {
		problem = "expected " + c.expect + ", found"
	}
	e.Problem = problem + " " + n.what(hide) + m.hint
	if alias := n.more().alias; alias != "" {
		e.Problem += " by the alias " + quoteKey(alias)
	}
	switch {
	case hide:
	case m.err != nil:
		e.Err = m.err
		e.Problem += ": " + m.err.Error()
		e.Suggestion = m.suggestion
	default:
		e.Suggestion = m.suggestion
	}
	d.fail(e)
}

// section reads a struct from a map, or from the JSON of a variable.
func (d *decoder) section(c *codec, n *node, v reflect.Value, hide bool) bool {
	at := n.pos()
	switch n.kind {
	case mapNode:
	case nullNode: // "tasks:" with every line below it commented out
		n = nil
	default:
		if m := fromText(n, '{'); m != nil {
			n = m
			break
		}
		d.misfit(c, n, errNotThis, hide || c.hasSecret)
		return false
	}
	before := len(d.errs)
	d.structure(c, n, at, v)
	return len(d.errs) == before
}

// structure fills a struct's fields and checks those that nothing gives.
func (d *decoder) structure(c *codec, n *node, at Position, v reflect.Value) {
	var few [64]*node
	given := few[:]
	if len(c.fields) > len(few) {
		given = make([]*node, len(c.fields))
	}
	if n != nil {
		for i := range n.kids {
			k := &n.kids[i]
			if i, ok := c.byKey[k.key]; ok {
				if given[i] != nil { // doubled, which is told; both are judged
					scratch := reflect.New(c.fields[i].codec.typ).Elem()
					scratch.Set(v.FieldByIndex(c.fields[i].index))
					d.entry(&c.fields[i], given[i], at, scratch)
				}
				given[i] = k.node
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
	if c.validates {
		d.checked(v, v.Addr().Interface().(interface{ Validate() error }).Validate())
	}
}

func (d *decoder) entry(f *field, n *node, section Position, v reflect.Value) {
	d.path = append(d.path, f.key)
	d.field(f, n, section, v)
	d.path = d.path[:len(d.path)-1]
}

func (d *decoder) field(f *field, n *node, section Position, v reflect.Value) {
	if n != nil {
		if d.value(f.codec, f, n, v, f.secret) && f.codec.kind != structCodec {
			d.rules(f, n, n.pos(), v)
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

func isUnset(v reflect.Value) bool {
	if s, ok := v.Interface().(interface{ IsZero() bool }); ok {
		return (v.Kind() == reflect.Pointer && v.IsNil()) || s.IsZero()
	}
	return v.IsZero() || (v.Kind() == reflect.Map || v.Kind() == reflect.Slice) && v.Len() == 0
}

// required tells where a missing value can be put: the section that should
// have it, or the file, and the variable.
func (d *decoder) required(f *field, section Position) {
	path := joinPath(d.path)
	problem := "is required (" + f.codec.expect + ") and nothing gives it"
	if len(d.tree.prefixes) > 0 {
		problem += "; it may also be set by " + EnvName(d.tree.prefixes[0], d.path...)
	}
	if section == (Position{}) && len(d.tree.files) > 0 {
		section.File = d.tree.files[0]
	}
	d.fail(&Error{Kind: KindRequired, Pos: section, Path: path, Problem: problem})
}

// checked places what a check function said.
func (d *decoder) checked(v reflect.Value, err error) {
	if err == nil {
		return
	}
	var several interface{ Unwrap() []error }
	if errors.As(err, &several) {
		for _, e := range several.Unwrap() {
			d.checked(v, e)
		}
		return
	}
	e := &Error{Kind: KindRule, Path: joinPath(d.path), Problem: err.Error(), Err: err}
	var at *atError
	if errors.As(err, &at) {
		e.Problem = at.err.Error()
		path := slices.Clone(d.path)
		if more, splitErr := splitPath(at.path); splitErr == nil {
			path = append(path, more...)
		}
		e.Path = joinPath(path)
		n := d.tree.root
		for _, s := range path {
			if n = n.at(s); n == nil {
				break
			}
		}
		e.Pos = n.pos()
	} else if n := d.here(); n != nil {
		e.Pos = n.pos()
	}
	d.fail(e)
}

func (d *decoder) here() *node {
	n := d.tree.root
	for _, s := range d.path {
		if n = n.at(s); n == nil {
			return nil
		}
	}
	return n
}

// list reads a slice or an array; a variable's text is a,b,c or JSON.
func (d *decoder) list(c *codec, f *field, n *node, v reflect.Value, hide bool) bool {
	if n.kind == nullNode && v.Kind() == reflect.Slice {
		v.SetZero()
		return true
	}
	kids := n.kids
	switch {
	case n.kind == listNode:
		kids = d.joined(f, n)
	case n.kind == mapNode && byIndex(n):
		var ok bool
		if kids, ok = inOrder(n.kids); !ok {
			d.fail(&Error{Kind: KindType, Pos: n.pos(), Problem: "expected the elements 0, 1, 2 and so on without a gap"})
			return false
		}
	case n.kind == textNode:
		m := fromText(n, '[')
		if m == nil {
			if strings.HasPrefix(strings.TrimSpace(n.text), "[") {
				d.misfit(c, n, &misfit{hint: ": it begins as JSON but is not"}, hide || c.hasSecret)
				return false
			}
			m = fromCommas(n)
		}
		kids = m.kids
	default:
		d.misfit(c, n, errNotThis, hide || c.hasSecret)
		return false
	}
	out := v
	if v.Kind() == reflect.Slice {
		out = reflect.MakeSlice(v.Type(), len(kids), len(kids))
	} else if len(kids) != v.Len() {
		d.misfit(c, n, errNotThis, hide)
		return false
	}
	ok := true
	for i := range kids {
		d.path = append(d.path, strconv.Itoa(i))
		ok = d.value(c.elem, nil, kids[i].node, out.Index(i), hide) && ok
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(out)
	return ok
}

// joined is a list's elements with those of weaker sources, if so chosen.
func (d *decoder) joined(f *field, n *node) []kid {
	how := d.config.lists
	if f != nil && f.merge != 0 {
		how = f.merge
	}
	if how != Append && how != ByIndex {
		return n.kids
	}
	out := n.kids
	for w := n.over; w != nil && w.kind == listNode; w = w.over {
		if n.more().own != nil && w == n.over {
			continue // single elements were put into it: it is in n already
		}
		switch {
		case how == Append:
			out = append(slices.Clone(w.kids), out...)
		case len(w.kids) > len(out):
			out = append(slices.Clone(out), w.kids[len(out):]...)
		}
	}
	return out
}

// inOrder sorts elements that variables gave one by one.
func inOrder(kids []kid) ([]kid, bool) {
	out := make([]kid, len(kids))
	for _, k := range kids {
		i, _ := index(k.key)
		if i >= len(out) || out[i].node != nil {
			return nil, false
		}
		out[i].node = k.node
	}
	return out, true
}

// mapping reads a map whose keys are data; a variable's text is k=v,k2=v2 or JSON.
func (d *decoder) mapping(c *codec, f *field, n *node, v reflect.Value, hide bool) bool {
	if n.kind == nullNode {
		v.SetZero()
		return true
	}
	how := d.config.maps
	if f != nil && f.merge != 0 {
		how = f.merge
	}
	if n.kind == textNode {
		m := fromText(n, '{')
		if m == nil {
			m = fromPairs(n)
		}
		if m == nil {
			d.misfit(c, n, &misfit{hint: ": write key=value,key=value or JSON"}, hide || c.hasSecret)
			return false
		}
		n = m
	}
	if n.kind != mapNode {
		d.misfit(c, n, errNotThis, hide || c.hasSecret)
		return false
	}
	out := reflect.MakeMapWithSize(v.Type(), len(n.kids))
	if how == Replace {
		for n.more().own != nil {
			n = n.more().own
		}
	} else {
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, v.MapIndex(k))
		}
	}
	ok := true
	for _, k := range n.kids {
		d.path = append(d.path, k.key)
		key := reflect.New(c.key.typ).Elem()
		if m := c.key.set(&node{kind: textNode, text: k.key}, key); m != nil {
			d.fail(&Error{Kind: KindType, Pos: k.keyPos(), Problem: "expected " + c.key.expect + " as key, found " + quoteKey(k.key)})
			ok = false
		} else {
			elem := reflect.New(c.elem.typ).Elem()
			if old := v.MapIndex(key); v.Len() > 0 && old.IsValid() {
				elem.Set(old)
			}
			ok = d.value(c.elem, nil, k.node, elem, hide) && ok
			out.SetMapIndex(key, elem)
		}
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(out)
	return ok
}

const fileSuffix = "_file"

// fileField is the field that PREFIX_NAME_FILE is about, or -1.
func (d *decoder) fileField(c *codec, k *kid, n *node) int {
	base, ok := strings.CutSuffix(k.key, fileSuffix)
	if !ok || k.kind != textNode || k.from.rank != rankEnv && k.from.rank != rankDotEnv {
		return -1
	}
	if i, known := c.byKey[base]; known {
		return i
	}
	return -1
}

// fromFile reads the value of a secret that is mounted as a file.
func (d *decoder) fromFile(f *field, k *kid, n *node) *node {
	pos := k.pos()
	if other := n.get(f.key); other != nil {
		if other.from.rank > rankEnvFile {
			return nil // a flag goes before
		}
		if other.from.rank == k.from.rank && other.kind != mapNode {
			d.fail(&Error{Kind: KindDuplicate, Pos: pos, Path: joinPath(append(slices.Clone(d.path), f.key)), Problem: "is given by " + other.more().name + " already: set the one or the other"})
			return nil
		}
	}
	path := k.text
	if k.from.file != "" && !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(k.from.file), path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		d.fail(&Error{Kind: KindSource, Pos: pos, Path: joinPath(append(slices.Clone(d.path), f.key)), Problem: "the file " + quoteKey(path) + " cannot be read: " + cause(err), Err: err})
		return &node{bad: true, from: k.from}
	}
	text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
	out := &node{kind: textNode, literal: true, text: text, from: &origin{file: path, rank: rankEnvFile}, rare: &rare{name: k.more().name}, over: n.get(f.key)}
	if d.secrets != nil && f.secret {
		d.secrets[out] = true
	}
	return out
}

// rules checks a value that fits its type; n is nil for a default, which is
// told at the section that should have given a better one.
func (d *decoder) rules(f *field, n *node, at Position, v reflect.Value) {
	for v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return
		}
		v = v.Elem()
	}
	if s, ok := v.Interface().(secretType); ok && f.codec.within() == secretCodec {
		if n == nil && isUnset(v) && !hasRule(f, "nonempty") {
			return
		}
		v = s.reveal()
	}
	if f.rules.zero && v.IsZero() {
		return
	}
	for i := range f.rules.own {
		d.rule(&f.rules.own[i], f, n, at, v)
	}
	if len(f.rules.each) > 0 {
		d.each(f, n, v)
	}
	if f.check != nil {
		if err := f.check(v.Interface()); err != nil {
			e := &Error{Kind: KindRule, Pos: at, Problem: err.Error(), Err: err}
			if f.secret || d.hidden(n) {
				e.Problem, e.Err = "its check refused it", nil
			}
			d.fail(e)
		}
	}
}

func hasRule(f *field, name string) bool {
	return slices.ContainsFunc(f.rules.own, func(r rule) bool { return r.name == name })
}

func (d *decoder) rule(r *rule, f *field, n *node, at Position, v reflect.Value) {
	if r.holds(v) {
		return
	}
	e := &Error{Kind: KindRule, Pos: at}
	hide := f.secret || d.hidden(n)
	switch {
	case n == nil && hide:
		e.Problem = r.must + "; its default does not fit"
	case n == nil:
		e.Problem = r.must + ", its default is " + found(v)
	case hide:
		e.Problem = r.must + ", found a value that is not shown"
	default:
		e.Problem = r.must + ", found " + found(v)
		e.Suggestion = nearest(showValue(v), r.near)
		if r.name == "lower" {
			e.Suggestion = strings.ToLower(v.String())
		}
	}
	if n != nil && n.more().alias != "" {
		e.Problem += " by the alias " + quoteKey(n.more().alias)
	}
	d.fail(e)
}

func (d *decoder) each(f *field, n *node, v reflect.Value) {
	at := func(segment string, elem reflect.Value) {
		for elem.Kind() == reflect.Pointer {
			if elem.IsNil() {
				return
			}
			elem = elem.Elem()
		}
		place := n.at(segment)
		if place == nil {
			place = n
		}
		d.path = append(d.path, segment)
		for i := range f.rules.each {
			d.rule(&f.rules.each[i], f, place, place.pos(), elem)
		}
		d.path = d.path[:len(d.path)-1]
	}
	if v.Kind() != reflect.Map {
		for i := range v.Len() {
			at(strconv.Itoa(i), v.Index(i))
		}
		return
	}
	keys := map[string]reflect.Value{}
	for _, k := range v.MapKeys() {
		keys[showValue(k)] = k
	}
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		at(k, v.MapIndex(keys[k]))
	}
}
