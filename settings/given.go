package settings

import (
	"strconv"

	"github.com/sambatech/chassis/settings/internal/source"
)

// Given lists for each file of sections, each .env file and each address in a store, by its name as the source has
// it, the dotted paths of the values that it gives, list elements by index. A value that a stronger source shadows is
// among them; a file that returns nothing is not. It is what a watcher compares to see that a file is not whole.
func (t *Tree) Given() map[string][]string {
	g := inventory{out: map[string][]string{}, left: 10 * source.MaxExpanded}
	g.walk(t.root, nil)
	return g.out
}

// Stored lists the addresses in stores that Given has, each with the version of what it gave.
func (t *Tree) Stored() map[string]string {
	g := inventory{out: map[string][]string{}, stored: map[string]string{}, left: 10 * source.MaxExpanded}
	g.walk(t.root, nil)
	return g.stored
}

type inventory struct {
	stored map[string]string
	out    map[string][]string
	left   int // aliases of aliases may lead to one value by very many ways
}

func (g *inventory) walk(n *source.Node, path []string) {
	for ; n != nil; n = n.Over {
		if g.left--; g.left < 0 {
			return
		}
		if ref := n.More().Ref; ref != nil {
			g.note(ref, path)
		}
		switch n.Kind {
		case source.Map, source.List:
			for i, k := range n.Kids {
				segment := k.Key
				if n.Kind == source.List {
					segment = strconv.Itoa(i)
				}
				g.walk(k.Node, append(path[:len(path):len(path)], segment))
			}
		default:
			g.note(n, path)
		}
	}
}

// note adds a value. One that a reference leads to is given by the file with the reference.
func (g *inventory) note(n *source.Node, path []string) {
	if n.From == nil || n.From.File == "" || n.From.Referenced {
		return
	}
	g.out[n.From.File] = append(g.out[n.From.File], joinPath(path))
	if n.From.Stored && g.stored != nil {
		g.stored[n.From.File] = n.From.Version
	}
}
