package settings

import (
	"slices"
	"strings"
)

// sameCase returns a map with the entries of variables under the keys that they
// are meant for: the name of a variable has no case, so eu of a variable is EU
// where the map, or known, has that key and not eu. The second result lists the
// entries that could be meant for several keys. n is not changed.
func sameCase(n *node, known []string) (*node, []kid) {
	if n == nil || n.kind != mapNode || !slices.ContainsFunc(n.kids, kid.ofVariable) {
		return n, nil
	}
	out := *n
	out.kids = slices.Clone(n.kids)
	var unclear []kid
	for _, k := range n.kids {
		if !k.ofVariable() || slices.Contains(known, k.key) {
			continue
		}
		meant := meantBy(k.key, n.kids, known)
		if len(meant) == 0 {
			continue
		}
		if len(meant) > 1 {
			unclear = append(unclear, k)
			continue
		}
		at := slices.IndexFunc(out.kids, func(o kid) bool { return o.key == k.key })
		over := slices.IndexFunc(out.kids, func(o kid) bool { return o.key == meant[0] })
		if over < 0 {
			out.kids[at].key = meant[0]
			continue
		}
		switch old := out.kids[over].node; {
		case old.kind == mapNode && k.kind == mapNode:
			out.kids[over].node = besides(old, k.node)
		default:
			out.kids[over].node = above(k.node, old)
		}
		out.kids = slices.Delete(out.kids, at, at+1)
	}
	return &out, unclear
}

// ofVariable reports whether the key is part of a variable's name.
func (k kid) ofVariable() bool { return k.from.rank == rankEnv || k.from.rank == rankDotEnv }

// meantBy lists the other keys that differ from key in case alone.
func meantBy(key string, kids []kid, known []string) (meant []string) {
	add := func(other string) {
		if other != key && strings.EqualFold(other, key) && !slices.Contains(meant, other) {
			meant = append(meant, other)
		}
	}
	for _, k := range kids {
		if !k.ofVariable() {
			add(k.key)
		}
	}
	for _, k := range known {
		add(k)
	}
	return meant
}

// above returns n with base as the weakest of what it shadows.
func above(n, base *node) *node {
	out := *n
	if out.over == nil {
		out.over = base
	} else {
		out.over = above(out.over, base)
	}
	return &out
}
