package settings

import (
	"slices"
	"strconv"
	"strings"

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
	return n != nil && (d.secrets != nil && (d.secrets[n] || d.secrets[n.More().Via]) || storedSecret(n))
}

// holdsHidden reports whether a value that is shown whole, like a list, has what is hidden within it, by an
// alias of it or of a section around it.
func (d *decoder) holdsHidden(n *source.Node) bool {
	left := 10 * source.MaxExpanded
	return (d.secrets != nil || d.tree.secretive) && n != nil && d.holds(n, &left)
}

func (d *decoder) holds(n *source.Node, left *int) bool {
	if *left--; *left < 0 {
		return true // unknown
	}
	return d.hidden(n) || slices.ContainsFunc(n.Kids, func(k source.Kid) bool { return d.holds(k.Node, left) })
}

// storedSecret reports whether a store keeps a value as a secret.
func storedSecret(n *source.Node) bool {
	via := n.More().Via
	return n.From != nil && n.From.Secret || via != nil && via.From != nil && via.From.Secret
}

// Secrets lists the dotted paths of what a store gave as secrets, whatever settings they are the values of.
func (t *Tree) Secrets() (paths []string) {
	if !t.secretive {
		return nil
	}
	left := 10 * source.MaxExpanded
	var walk func(n *source.Node, path []string)
	walk = func(n *source.Node, path []string) {
		if left--; left < 0 {
			return
		}
		if storedSecret(n) && n.Kind != source.Map {
			paths = append(paths, joinPath(path))
			return
		}
		for i, k := range n.Kids {
			segment := k.Key
			if n.Kind == source.List {
				segment = strconv.Itoa(i)
			}
			walk(k.Node, append(path[:len(path):len(path)], segment))
		}
	}
	walk(t.root, nil)
	return paths
}

// HideChanges returns changes with [Mask] in place of what is at, above or below one of the secrets, which are
// paths as of [Tree.Secrets].
func HideChanges(changes []Change, secrets []string) []Change {
	if len(secrets) == 0 {
		return changes
	}
	out := slices.Clone(changes)
	for i := range out {
		if c := &out[i]; touches(c.Path, secrets) {
			c.Old, c.New = masked(c.Old), masked(c.New)
		}
	}
	return out
}

// HideEntries is [HideChanges] for entries.
func HideEntries(entries []Entry, secrets []string) []Entry {
	if len(secrets) == 0 {
		return entries
	}
	out := slices.Clone(entries)
	for i := range out {
		if e := &out[i]; touches(e.Path, secrets) {
			e.Value, e.Secret = masked(e.Value), true
		}
	}
	return out
}

func masked(text string) string {
	if text == "" {
		return ""
	}
	return Mask
}

// touches reports whether a path is at, above or below one of the secrets.
func touches(path string, secrets []string) bool {
	return slices.ContainsFunc(secrets, func(s string) bool {
		return s == path || strings.HasPrefix(s, path+".") || strings.HasPrefix(path, s+".")
	})
}
