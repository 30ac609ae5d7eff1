package settings

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sambatech/chassis/internal/spelling"
	"github.com/sambatech/chassis/settings/internal/source"
)

// aliases replaces every alias of a merged tree by what it names. It runs once, before any layout sees the tree.
type aliases struct {
	root   *source.Node
	find   source.Finder
	state  map[*source.Node]walk
	solved map[*source.Node]*source.Node
	chain  []*source.Node // aliases that are being followed
	errs   []*Error
	warns  []*Error
	looked int // names, for warnings
}

// maxLooked bounds the names that are compared to find what a string that begins with a dot nearly names.
const maxLooked = 10_000

type walk uint8

const (
	walking walk = iota + 1
	walked
)

func resolveAliases(root *source.Node) (errs, warns []*Error) {
	a := &aliases{root: root, state: map[*source.Node]walk{}, solved: map[*source.Node]*source.Node{}}
	a.expand(root)
	return a.errs, a.warns
}

// expand resolves everything below a list or map, in place.
func (a *aliases) expand(n *source.Node) {
	if n.Kind != source.Map && n.Kind != source.List || a.state[n] != 0 {
		return
	}
	a.state[n] = walking
	if under := n.More().Base; under != nil {
		if base := a.follow(under); base.Kind == source.Map {
			a.expand(base)
			n.Kids = overlay(base, n).Kids
			a.find.Forget(n)
		}
	}
	for i := range n.Kids {
		n.Kids[i].Node = a.follow(n.Kids[i].Node)
		a.expand(n.Kids[i].Node)
	}
	a.state[n] = walked
}

// follow returns what an alias names, or n itself if it is no alias.
func (a *aliases) follow(n *source.Node) *source.Node {
	if !isAlias(n) {
		return n
	}
	if out, ok := a.solved[n]; ok {
		return out
	}
	if strings.HasPrefix(n.Text, "..") {
		out := *n
		out.Text, out.Literal = n.Text[1:], true
		a.solved[n] = &out
		return &out
	}
	path := strings.Split(n.Text[1:], ".")
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
		return a.fail(n, "the alias "+source.QuoteKey(n.Text)+" names a section that it stands in")
	}
	a.expand(target)
	out := *target
	out.From, out.Line, out.Col, out.Over = n.From, n.Line, n.Col, n.Over
	out.Rare = &source.Rare{Name: n.More().Name, Alias: n.Text, Via: target}
	if via := target.More().Via; via != nil {
		out.Rare.Via = via
	}
	out.Literal = true
	a.solved[n] = &out
	return &out
}

func (a *aliases) lookup(path []string) *source.Node {
	n := a.root
	for _, segment := range path {
		if segment == "" {
			return nil
		}
		if under := n.More().Base; under != nil {
			// A section that adds to an alias has the alias's keys too.
			if k := a.find.At(n, segment); k == nil {
				if base := a.follow(under); a.find.At(base, segment) != nil {
					n = base
				}
			}
		}
		if n = a.find.At(n, segment); n == nil {
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

func (a *aliases) cycle(chain []*source.Node) {
	var b strings.Builder
	for _, n := range chain {
		b.WriteString(n.Text + " → ")
	}
	for _, n := range chain {
		a.fail(n, "the alias leads back to itself: "+b.String()+chain[0].Text)
	}
}

// fail reports an alias and returns the null that stands in its place.
func (a *aliases) fail(n *source.Node, problem string) *source.Node {
	a.errs = append(a.errs, &Error{Kind: KindAlias, Pos: positionOf(n), Problem: problem})
	out := *n
	out.Kind, out.Bad = source.Null, true
	a.solved[n] = &out
	return &out
}

// stays notes a string that looks like an alias of something near, which by the rules it is not. It is a warning
// only: ./data and .hidden are values.
func (a *aliases) stays(n *source.Node, path []string) {
	at := a.root
	for i, segment := range path {
		next := a.find.At(at, segment)
		if next == nil {
			if a.looked += len(at.Kids); a.looked > maxLooked {
				return
			}
			var known []string
			for j, k := range at.Kids {
				if at.Kind == source.List {
					known = append(known, strconv.Itoa(j))
				} else {
					known = append(known, k.Key)
				}
			}
			if near := spelling.Nearest(segment, known); near != "" {
				fixed := append(append(append([]string(nil), path[:i]...), near), path[i+1:]...)
				a.warns = append(a.warns, &Error{Kind: KindAlias, Pos: positionOf(n),
					Problem:    "the string begins with a dot but names nothing, so it is taken as it is",
					Suggestion: "." + strings.Join(fixed, ".")})
			}
			return
		}
		at = next
	}
}
