package settings

import (
	"reflect"
	"slices"
	"strings"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// unknown reports a key that the layout does not have, with the nearest that it has: in this section, or the same
// key in another one.
func (d *decoder) unknown(c *codec, k source.Kid) {
	if d.config.allowUnknown || k.From.Open || k.Bad && k.More().Ref == nil || len(d.errs) > maxReported {
		return
	}
	top := len(d.path) == 0
	if k.From.File == "" || k.More().Name != "" && !k.From.Stored {
		d.unknownVariable(k, top)
		return
	}
	near := spelling.Nearest(k.Key, c.keys)
	if top && d.config.shared {
		if near == "" || slices.Contains(d.config.foreign, k.Key) || d.tree.isClaimed(k.Key) ||
			!c.fields[c.byKey[near]].resembles(k.Node) {
			return
		}
	}
	e := &Error{Kind: KindUnknown, Pos: keyPosition(k), Path: joinPath(append(slices.Clone(d.path), k.Key)),
		Problem: "unknown key"}
	if !top {
		e.Problem += " in " + joinPath(d.path)
	}
	e.Suggestion = near
	if near == "" {
		if other := elsewhere(d.plan, k.Key); other != nil {
			e.Suggestion = joinPath(other)
		} else if len(c.keys) > 0 && len(c.keys) <= 12 {
			e.Problem += "; known are " + strings.Join(c.keys, ", ")
		}
	}
	d.errs = report(d.errs, e)
}

// resembles reports whether a value under a key that is nearly the field's may be meant for it: a section must be
// empty, or have one of its keys.
func (f *field) resembles(n *source.Node) bool {
	c := f.codec.pointee()
	if c.kind != structCodec || len(n.Kids) == 0 && n.Kind == source.Map || n.Kind == source.Null {
		return true
	}
	return n.Kind == source.Map && slices.ContainsFunc(n.Kids,
		func(k source.Kid) bool { _, has := c.byKey[k.Key]; return has })
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

// unknownVariable reports each variable (or flag) below an unknown key by its own name.
func (d *decoder) unknownVariable(k source.Kid, top bool) {
	if k.Kind == source.Map && k.More().Own == nil && len(k.Kids) > 0 {
		d.path = append(d.path, k.Key)
		for _, inner := range k.Kids {
			d.unknownVariable(inner, top)
		}
		d.path = d.path[:len(d.path)-1]
		return
	}
	if k.Kind == source.Map {
		return
	}
	first := k.Key
	if len(d.path) > 0 {
		first = d.path[0]
	}
	pos := keyPosition(k)
	path := joinPath(append(slices.Clone(d.path), k.Key))
	if strings.HasPrefix(k.Key, strayKey) {
		path = ""
	}
	e := &Error{Kind: KindUnknown, Pos: pos, Path: path, Problem: "unknown setting"}
	if k.From.Rank == source.Flag {
		if d.vars == nil {
			d.vars = leafPaths(d.plan, joinPath)
		}
		e.Suggestion = spelling.Nearest(path, d.vars)
	} else {
		if d.vars == nil && len(d.tree.prefixes) > 0 {
			for _, prefix := range d.tree.prefixes {
				d.vars = append(d.vars, leafPaths(d.plan, func(p []string) string { return EnvName(prefix, p...) })...)
			}
		}
		e.Suggestion = spelling.Nearest(k.More().Name, d.vars)
	}
	if d.config.shared && top && d.plan.byKey != nil {
		if _, ours := d.plan.byKey[first]; !ours &&
			(e.Suggestion == "" || slices.Contains(d.config.foreign, first) || d.tree.isClaimed(first)) {
			return
		}
	}
	d.errs = report(d.errs, e)
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
