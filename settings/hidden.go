package settings

import (
	"slices"

	"github.com/sambatech/chassis/settings/internal/source"
)

// marked is a value and the type that it was looked at as.
type marked struct {
	c *codec
	n *source.Node
}

// markSecrets notes the values that secret fields read, before any message about them.
func (d *decoder) markSecrets(c *codec, n *source.Node, depth int) {
	if n == nil || !c.hasSecret || depth > 64 {
		return
	}
	if depth > 8 { // aliases of aliases may lead to one value by very many ways
		if d.marked[marked{c, n}] {
			return
		}
		if d.marked == nil {
			d.marked = map[marked]bool{}
		}
		d.marked[marked{c, n}] = true
	}
	switch c.kind {
	case secretCodec:
		d.hide(n, 0)
	case pointerCodec:
		d.markSecrets(c.elem, n, depth+1)
	case listCodec, mapCodec:
		for _, k := range n.Kids {
			d.markSecrets(c.elem, k.Node, depth+1)
		}
	case structCodec:
		n = present(n)
		for i := range c.fields {
			f := &c.fields[i]
			if f.secret {
				d.hide(n.Get(f.key), 0)
				d.hide(n.Get(f.key+fileSuffix), 0)
			}
			d.markSecrets(f.codec, n.Get(f.key), depth+1)
		}
	}
}

func (d *decoder) hide(n *source.Node, depth int) {
	for ; n != nil && depth < 64 && !d.secrets[n]; n = n.More().Via {
		d.secrets[n] = true
		for _, k := range n.Kids {
			d.hide(k.Node, depth+1)
		}
	}
}

func (d *decoder) hidden(n *source.Node) bool {
	return d.secrets != nil && n != nil && (d.secrets[n] || d.secrets[n.More().Via])
}

// holdsHidden reports whether a value that is shown whole, like a list, has what is hidden within it, by an
// alias of it or of a section around it.
func (d *decoder) holdsHidden(n *source.Node) bool {
	left := 10 * source.MaxExpanded
	return d.secrets != nil && n != nil && d.holds(n, &left)
}

func (d *decoder) holds(n *source.Node, left *int) bool {
	if *left--; *left < 0 {
		return true // unknown
	}
	return d.hidden(n) || slices.ContainsFunc(n.Kids, func(k source.Kid) bool { return d.holds(k.Node, left) })
}
