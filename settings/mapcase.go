package settings

import (
	"slices"
	"strings"

	"github.com/sambatech/chassis/settings/internal/source"
)

// sameCase returns a map with the entries of variables under the keys that they are meant for: the name of a
// variable has no case, so eu of a variable is EU where the map, or known, has that key and not eu. The second
// result lists the entries that could be meant for several keys. n is not changed.
func sameCase(n *source.Node, known []string) (*source.Node, []source.Kid) {
	if n == nil || n.Kind != source.Map || !slices.ContainsFunc(n.Kids, ofVariable) {
		return n, nil
	}
	out := *n
	out.Kids = slices.Clone(n.Kids)
	var unclear []source.Kid
	for _, k := range n.Kids {
		if !ofVariable(k) || slices.Contains(known, k.Key) {
			continue
		}
		meant := meantBy(k.Key, n.Kids, known)
		if len(meant) == 0 {
			continue
		}
		if len(meant) > 1 {
			unclear = append(unclear, k)
			continue
		}
		at := slices.IndexFunc(out.Kids, func(o source.Kid) bool { return o.Key == k.Key })
		over := slices.IndexFunc(out.Kids, func(o source.Kid) bool { return o.Key == meant[0] })
		if over < 0 {
			out.Kids[at].Key = meant[0]
			continue
		}
		switch old := out.Kids[over].Node; {
		case old.Kind == source.Map && k.Kind == source.Map:
			out.Kids[over].Node = overlay(old, k.Node)
		default:
			out.Kids[over].Node = above(k.Node, old)
		}
		out.Kids = slices.Delete(out.Kids, at, at+1)
	}
	return &out, unclear
}

// ofVariable reports whether the key is part of a variable's name.
func ofVariable(k source.Kid) bool {
	return k.From.Rank == source.Env || k.From.Rank == source.DotEnv
}

// meantBy lists the other keys that differ from key in case alone.
func meantBy(key string, kids []source.Kid, known []string) (meant []string) {
	add := func(other string) {
		if other != key && strings.EqualFold(other, key) && !slices.Contains(meant, other) {
			meant = append(meant, other)
		}
	}
	for _, k := range kids {
		if !ofVariable(k) {
			add(k.Key)
		}
	}
	for _, k := range known {
		add(k)
	}
	return meant
}
