package settings

import (
	"reflect"
	"slices"
	"strings"
)

// unknown tells a key that the layout does not have, with the nearest that it
// has: in this section, or the same key in another one.
func (d *decoder) unknown(c *codec, k kid) {
	if d.config.allowUnknown || k.from.open || k.bad || len(d.errs) > maxTold {
		return
	}
	top := len(d.path) == 0
	if k.from.file == "" || k.more().name != "" {
		d.unknownVariable(k, top)
		return
	}
	near := nearest(k.key, c.keys)
	if top && d.config.shared {
		if near == "" || slices.Contains(d.config.foreign, k.key) || d.tree.isClaimed(k.key) || !c.fields[c.byKey[near]].resembles(k.node) {
			return
		}
	}
	e := &Error{Kind: KindUnknown, Pos: k.keyPos(), Path: joinPath(append(slices.Clone(d.path), k.key)), Problem: "no such key"}
	if !top {
		e.Problem += " in " + joinPath(d.path)
	}
	e.Suggestion = near
	if near == "" {
		if other := elsewhere(d.plan, k.key); other != nil {
			e.Suggestion = joinPath(other)
		} else if len(c.keys) > 0 && len(c.keys) <= 12 {
			e.Problem += "; known are " + strings.Join(c.keys, ", ")
		}
	}
	d.errs = tell(d.errs, e)
}

// resembles reports whether a value under a key that is nearly the field's may
// be meant for it: a section must be empty, or have one of its keys.
func (f *field) resembles(n *node) bool {
	c := f.codec
	for c.kind == pointerCodec {
		c = c.elem
	}
	if c.kind != structCodec {
		return true
	}
	if len(n.kids) == 0 && n.kind == mapNode || n.kind == nullNode {
		return true
	}
	return n.kind == mapNode && slices.ContainsFunc(n.kids, func(k kid) bool { _, has := c.byKey[k.key]; return has })
}

// elsewhere returns the path of a setting or section of that name in another section.
func elsewhere(c *codec, key string) (found []string) {
	eachLeaf(c, reflect.Zero(c.typ), nil, false, func(l leaf) {
		if found == nil && l.field.key == key && len(l.path) > 1 {
			found = l.path
		}
	})
	return found
}

// unknownVariable tells each variable (or flag) below an unknown key by its
// own name.
func (d *decoder) unknownVariable(k kid, top bool) {
	if k.kind == mapNode && k.more().own == nil && len(k.kids) > 0 {
		d.path = append(d.path, k.key)
		for _, inner := range k.kids {
			d.unknownVariable(inner, top)
		}
		d.path = d.path[:len(d.path)-1]
		return
	}
	if k.kind == mapNode {
		return
	}
	first := k.key
	if len(d.path) > 0 {
		first = d.path[0]
	}
	pos := k.keyPos()
	path := joinPath(append(slices.Clone(d.path), k.key))
	if strings.HasPrefix(k.key, strayKey) {
		path = ""
	}
	e := &Error{Kind: KindUnknown, Pos: pos, Path: path, Problem: "no such setting"}
	if k.from.rank == rankFlag {
		if d.vars == nil {
			d.vars = leafPaths(d.plan, joinPath)
		}
		e.Suggestion = nearest(path, d.vars)
	} else {
		if d.vars == nil && len(d.tree.prefixes) > 0 {
			for _, prefix := range d.tree.prefixes {
				d.vars = append(d.vars, leafPaths(d.plan, func(p []string) string { return EnvName(prefix, p...) })...)
			}
		}
		e.Suggestion = nearest(k.more().name, d.vars)
	}
	if d.config.shared && top && d.plan.byKey != nil {
		if _, ours := d.plan.byKey[first]; !ours && (e.Suggestion == "" || slices.Contains(d.config.foreign, first) || d.tree.isClaimed(first)) {
			return
		}
	}
	d.errs = tell(d.errs, e)
}

// leafPaths returns the name of every setting that is no section.
func leafPaths(c *codec, name func([]string) string) (names []string) {
	eachLeaf(c, reflect.Zero(c.typ), nil, false, func(l leaf) {
		if !l.section {
			names = append(names, name(l.path))
		}
	})
	return names
}
