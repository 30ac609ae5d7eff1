package settings

import (
	"cmp"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// list reads a slice or an array; a variable's text is a,b,c or JSON.
func (d *decoder) list(c *codec, f *field, n *source.Node, v reflect.Value, hide bool) bool {
	if n.Kind == source.Null && v.Kind() == reflect.Slice {
		v.SetZero()
		return true
	}
	var kids []source.Kid
	switch {
	case n.Kind == source.List:
		kids = d.joined(f, n)
	case n.Kind == source.Map && byIndex(n):
		var ok bool
		if kids, ok = inOrder(n.Kids); !ok {
			return d.fail(&Error{Kind: KindType, Pos: positionOf(n),
				Problem: "expected the elements 0, 1, 2 and so on without a gap"})
		}
	case n.Kind == source.Text:
		m := fromText(n, '[')
		if m == nil {
			if strings.HasPrefix(strings.TrimSpace(n.Text), "[") {
				return d.misfit(c, n, &misfit{hint: ": it begins with [ but is not JSON: " +
					"put each element in double quotes, " +
					"or give one element a variable (" + n.More().Name + "__0)"}, hide || c.hasSecret)
			}
			m = fromCommas(n)
		}
		kids = m.Kids
	default:
		return d.misfit(c, n, errNotThis, hide || c.hasSecret)
	}
	out := v
	if v.Kind() == reflect.Slice {
		out = reflect.MakeSlice(v.Type(), len(kids), len(kids))
	} else if len(kids) != v.Len() {
		return d.misfit(c, n, errNotThis, hide || c.hasSecret)
	}
	ok := true
	for i := range kids {
		d.path = append(d.path, strconv.Itoa(i))
		ok = d.value(c.elem, nil, kids[i].Node, out.Index(i), hide) && ok
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(out)
	return ok
}

// joined is a list's elements with those of weaker sources, if so chosen.
func (d *decoder) joined(f *field, n *source.Node) []source.Kid {
	if f.how(d.config.lists) != Append {
		return n.Kids
	}
	out := n.Kids
	for w := n.Over; w != nil && w.Kind == source.List; w = w.Over {
		if n.More().Own != nil && w == n.Over {
			continue // single elements were put into it: it is in n already
		}
		if ref := unread(d.tree.config.stores, w.Kids); ref != nil {
			d.fail(&Error{Kind: KindAlias, Pos: positionOf(ref), Problem: "refers to a store from a list that " +
				"another source adds to by a merge tag, and is not read: use MergeLists(Append), or one list"})
		}
		out = append(slices.Clone(w.Kids), out...)
	}
	return out
}

// how is the merge of a field's tag, or else that of the options. Elements have no field.
func (f *field) how(option Merge) Merge {
	if f == nil {
		return option
	}
	return cmp.Or(f.merge, option)
}

// inOrder sorts elements that variables gave one by one.
func inOrder(kids []source.Kid) ([]source.Kid, bool) {
	out := make([]source.Kid, len(kids))
	for _, k := range kids {
		i, _ := index(k.Key)
		if i >= len(out) || out[i].Node != nil {
			return nil, false
		}
		out[i].Node = k.Node
	}
	return out, true
}

// mapping reads a map with keys that are data; a variable's text is k=v,k2=v2 or JSON.
func (d *decoder) mapping(c *codec, f *field, n *source.Node, v reflect.Value, hide bool) bool {
	if n.Kind == source.Null {
		v.SetZero()
		return true
	}
	if n.Kind == source.Text {
		m := entries(n)
		if m == nil {
			return d.misfit(c, n, &misfit{hint: ": write key=value,key=value or JSON"}, hide || c.hasSecret)
		}
		n = m
	}
	if n.Kind != source.Map {
		return d.misfit(c, n, errNotThis, hide || c.hasSecret)
	}
	n, ok := d.cased(n, v)
	out := reflect.MakeMapWithSize(v.Type(), len(n.Kids))
	if f.how(d.config.maps) == Replace {
		for n.More().Own != nil {
			n = n.More().Own
		}
	} else {
		for _, k := range v.MapKeys() {
			out.SetMapIndex(k, v.MapIndex(k))
		}
	}
	for _, k := range n.Kids {
		d.path = append(d.path, k.Key)
		key := reflect.New(c.key.typ).Elem()
		if m := c.key.set(&source.Node{Kind: source.Text, Text: k.Key}, key); m != nil {
			d.fail(&Error{Kind: KindType, Pos: keyPosition(k),
				Problem: "expected " + c.key.expect + " as key, found " + source.QuoteKey(k.Key)})
			ok = false
		} else {
			elem := reflect.New(c.elem.typ).Elem()
			if old := v.MapIndex(key); v.Len() > 0 && old.IsValid() {
				elem.Set(old)
			}
			ok = d.value(c.elem, nil, k.Node, elem, hide) && ok
			out.SetMapIndex(key, elem)
		}
		d.path = d.path[:len(d.path)-1]
	}
	v.Set(out)
	return ok
}

// cased is sameCase for a map with the entries of v so far. It is false if an entry could be meant for several
// keys, which is an error.
func (d *decoder) cased(n *source.Node, v reflect.Value) (*source.Node, bool) {
	out, unclear := sameCase(n, mapKeys(v))
	for _, k := range unclear {
		meant := meantBy(k.Key, n.Kids, mapKeys(v))
		path := append(slices.Clone(d.path), meant[0])
		d.fail(&Error{Kind: KindDuplicate, Pos: keyPosition(k),
			Problem: "could be the entry " + strings.Join(meant, " or ") +
				", which differ in case alone: write " + EnvName("", path...) + " after the prefix for " + meant[0]})
	}
	return out, len(unclear) == 0
}

func mapKeys(v reflect.Value) (keys []string) {
	if v.IsValid() && v.Kind() == reflect.Map && v.Len() > 0 {
		for _, k := range sortedKeys(v) {
			keys = append(keys, showValue(k))
		}
	}
	return keys
}
