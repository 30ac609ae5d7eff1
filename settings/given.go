package settings

import "strconv"

// Given lists for each file of sections and each .env file, by its path as the
// source has it, the dotted paths of the values that it gives, list elements by
// index. A value that a stronger source shadows is among them; a file that gives
// nothing is not. It is what a watcher compares to see that a file is not whole.
func (t *Tree) Given() map[string][]string {
	g := inventory{out: map[string][]string{}, left: 10 * maxExpanded}
	g.walk(t.root, nil)
	return g.out
}

type inventory struct {
	out  map[string][]string
	left int // aliases of aliases may lead to one value by very many ways
}

func (g *inventory) walk(n *node, path []string) {
	for ; n != nil; n = n.over {
		if g.left--; g.left < 0 {
			return
		}
		switch n.kind {
		case mapNode, listNode:
			for i, k := range n.kids {
				segment := k.key
				if n.kind == listNode {
					segment = strconv.Itoa(i)
				}
				g.walk(k.node, append(path[:len(path):len(path)], segment))
			}
		default:
			if n.from != nil && n.from.file != "" {
				g.out[n.from.file] = append(g.out[n.from.file], joinPath(path))
			}
		}
	}
}
