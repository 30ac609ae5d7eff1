package settings

import (
	"slices"
	"strconv"
	"strings"
)

// aliases replaces every alias of a merged tree by what it names. It runs once,
// before any layout sees the tree.
type aliases struct {
	root   *node
	find   finder
	state  map[*node]walk
	solved map[*node]*node
	chain  []*node // aliases that are being followed
	errs   []*Error
	warns  []*Error
	looked int // names, for warnings
}

// maxLooked bounds the names that are compared to find what a string that
// begins with a dot nearly names.
const maxLooked = 10_000

type walk uint8

const (
	walking walk = iota + 1
	walked
)

func resolveAliases(root *node) (errs, warns []*Error) {
	a := &aliases{root: root, state: map[*node]walk{}, solved: map[*node]*node{}}
	a.expand(root)
	return a.errs, a.warns
}

// expand resolves everything below a list or map, in place.
func (a *aliases) expand(n *node) {
	if n.kind != mapNode && n.kind != listNode || a.state[n] != 0 {
		return
	}
	a.state[n] = walking
	if under := n.more().base; under != nil {
		if base := a.follow(under); base.kind == mapNode {
			a.expand(base)
			n.kids = overlay(base, n).kids
			a.find.forget(n)
		}
	}
	for i := range n.kids {
		n.kids[i].node = a.follow(n.kids[i].node)
		a.expand(n.kids[i].node)
	}
	a.state[n] = walked
}

// follow gives what an alias names, or n itself if it is none.
func (a *aliases) follow(n *node) *node {
	if !isAlias(n) {
		return n
	}
	if out, ok := a.solved[n]; ok {
		return out
	}
	if strings.HasPrefix(n.text, "..") {
		out := *n
		out.text, out.literal = n.text[1:], true
		a.solved[n] = &out
		return &out
	}
	path := strings.Split(n.text[1:], ".")
	if a.state[n] == walking {
		a.cycle(a.chain[slices.Index(a.chain, n):])
		return a.solved[n]
	}
	a.chain, a.state[n] = append(a.chain, n), walking
	target := a.lookup(path)
	a.chain, a.state[n] = a.chain[:len(a.chain)-1], walked
	if out, ok := a.solved[n]; ok {
		return out // it was part of a cycle
	}
	if target == nil {
		a.stays(n, path)
		a.solved[n] = n
		return n
	}
	if a.state[target] == walking {
		a.fail(n, "the alias "+quoteKey(n.text)+" names a section that it stands in")
		out := *n
		out.kind, out.bad = nullNode, true
		a.solved[n] = &out
		return &out
	}
	a.expand(target)
	out := *target
	out.from, out.line, out.col, out.over = n.from, n.line, n.col, n.over
	out.rare = &rare{name: n.more().name, alias: n.text, via: target}
	if via := target.more().via; via != nil {
		out.rare.via = via
	}
	out.literal = true
	a.solved[n] = &out
	return &out
}

func (a *aliases) lookup(path []string) *node {
	n := a.root
	for _, segment := range path {
		if segment == "" {
			return nil
		}
		if under := n.more().base; under != nil {
			// A section that adds to an alias has the alias's keys too.
			if k := a.find.at(n, segment); k == nil {
				if base := a.follow(under); a.find.at(base, segment) != nil {
					n = base
				}
			}
		}
		if n = a.find.at(n, segment); n == nil {
			return nil
		}
		n = a.follow(n)
		if len(a.chain) > 0 {
			if _, part := a.solved[a.chain[len(a.chain)-1]]; part {
				return nil
			}
		}
	}
	return n
}

func (a *aliases) cycle(chain []*node) {
	var b strings.Builder
	for _, n := range chain {
		b.WriteString(n.text + " → ")
	}
	for _, n := range chain {
		a.fail(n, "the alias leads back to itself: "+b.String()+chain[0].text)
		out := *n
		out.kind, out.bad = nullNode, true
		a.solved[n] = &out
	}
}

func (a *aliases) fail(n *node, problem string) {
	a.errs = append(a.errs, &Error{Kind: KindAlias, Pos: n.pos(), Problem: problem})
}

// stays notes a string that looks like an alias of something near, which by
// the rules it is not. It is a warning only: ./data and .hidden are values.
func (a *aliases) stays(n *node, path []string) {
	at := a.root
	for i, segment := range path {
		next := a.find.at(at, segment)
		if next == nil {
			if a.looked += len(at.kids); a.looked > maxLooked {
				return
			}
			var known []string
			for j, k := range at.kids {
				if at.kind == listNode {
					known = append(known, strconv.Itoa(j))
				} else {
					known = append(known, k.key)
				}
			}
			if near := nearest(segment, known); near != "" {
				fixed := append(append(append([]string(nil), path[:i]...), near), path[i+1:]...)
				a.warns = append(a.warns, &Error{Kind: KindAlias, Pos: n.pos(),
					Problem: "the string begins with a dot but names nothing, so it is taken as it is", Suggestion: "." + strings.Join(fixed, ".")})
			}
			return
		}
		at = next
	}
}
