package settings

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// reference is a string that names a value in a store.
type reference struct {
	node    *source.Node
	path    []string
	store   Store
	address string
	section bool // a stronger source adds keys to it
}

// references finds what refers to stores in a merged tree.
type references struct {
	stores []Store
	found  []reference
	seen   map[*source.Node]bool
	lists  Merge
	base   bool // what is looked at is the base of a section
}

// resolveReferences puts the values of stores in the place of the references to them. It runs once, after merging
// and before aliases are looked at, and asks each store one question.
func (o *opening) resolveReferences(root *source.Node) {
	if len(o.config.stores) == 0 {
		return
	}
	w := &references{stores: o.config.stores, lists: o.config.lists, seen: map[*source.Node]bool{}}
	w.walk(root, nil)
	for _, store := range w.stores {
		var addresses []string
		for _, r := range w.found {
			if r.store == store && !slices.Contains(addresses, r.address) {
				addresses = append(addresses, r.address)
			}
		}
		if len(addresses) == 0 {
			continue
		}
		answers := readStore(o.config.ctx, store, addresses)
		for _, r := range w.found {
			if r.store == store {
				o.replace(r, answers[slices.Index(addresses, r.address)])
			}
		}
	}
}

func (w *references) walk(n *source.Node, path []string) {
	if n == nil || w.seen[n] {
		return
	}
	w.seen[n] = true
	more := n.More()
	if more.Base != nil {
		w.base = true
		w.walk(more.Base, path)
		w.base = false
	}
	w.walk(more.Own, path)
	if over := n.Over; over != nil && (n.Kind == source.Null || over.Kind == source.Null ||
		n.Kind == source.List && over.Kind == source.List && w.lists == Append) {
		w.walk(over, path) // it counts
	}
	switch n.Kind {
	case source.Map, source.List:
		for i, k := range n.Kids {
			segment := k.Key
			if n.Kind == source.List {
				segment = strconv.Itoa(i)
			}
			w.walk(k.Node, append(path[:len(path):len(path)], segment))
		}
	case source.String, source.Text:
		w.refers(n, path)
	}
}

// refers notes a reference.
func (w *references) refers(n *source.Node, path []string) {
	store, name := storeOf(w.stores, n)
	switch {
	case store == nil:
	case strings.HasPrefix(name, ":"):
		n.Text, n.Literal = strings.TrimSuffix(n.Text, ":"+name)+name, true
	default:
		w.found = append(w.found, reference{n, path, store, n.Text, w.base})
	}
}

// storeOf returns the store that a string refers to, and what follows the scheme, or nil.
func storeOf(stores []Store, n *source.Node) (store Store, name string) {
	if n.Literal || n.Kind != source.String && n.Kind != source.Text {
		return nil, ""
	}
	scheme, name, ok := strings.Cut(n.Text, ":")
	if !ok || name == "" {
		return nil, ""
	}
	for _, store := range stores {
		if slices.Contains(store.Schemes(), scheme) {
			return store, name
		}
	}
	return nil, ""
}

// unread returns a reference in the elements of a list that was not read, or nil.
func unread(stores []Store, elements []source.Kid) *source.Node {
	if len(stores) == 0 {
		return nil
	}
	for _, k := range elements {
		if store, _ := storeOf(stores, k.Node); store != nil {
			return k.Node
		}
		if n := unread(stores, k.Kids); n != nil {
			return n
		}
	}
	return nil
}

// replace puts an answer in the place of a reference.
func (o *opening) replace(r reference, found Found) {
	ref := *r.node
	found.Address = cmp.Or(found.Address, r.address)
	bad := func() {
		*r.node = ref
		r.node.Kind, r.node.Bad, r.node.Text = source.Null, true, ""
	}
	if errors.Is(found.Err, errUnread) {
		bad()
		r.node.Rare = &source.Rare{Name: ref.More().Name, Ref: &ref} // its key may be unknown all the same
		return
	}
	if found.Err != nil {
		o.fail(&Error{Kind: KindSource, Pos: positionOf(&ref), Path: joinPath(r.path), Err: found.Err,
			Problem: found.Address + ": " + found.Err.Error()})
		bad()
		return
	}
	from := o.origin(&found, ref.From.Rank)
	from.Referenced = true
	value := o.single(&found, from)
	if value == nil {
		bad()
		return
	}
	if r.section {
		value = sectionOf(value)
		o.dotted = true // sections are joined where aliases are resolved
	}
	for _, k := range value.Kids {
		setName(k.Node, positionOf(&ref).String())
	}
	value.Over = ref.Over
	value.Edit().Ref = &ref
	*r.node = *value
}

// sectionOf returns a text as the JSON object that it is, or n itself.
func sectionOf(n *source.Node) *source.Node {
	if m := fromText(n, '{'); m != nil {
		return m
	}
	return n
}

// setName notes the place of the reference to what holds a value.
func setName(n *source.Node, name string) {
	n.Edit().Name = name
	for _, k := range n.Kids {
		setName(k.Node, name)
	}
}
