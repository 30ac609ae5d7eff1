package settings

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

type nodeKind uint8

const (
	nullNode nodeKind = iota
	boolNode
	intNode
	floatNode
	timeNode
	stringNode
	textNode // of a variable or a flag: any type, read as the layout asks
	listNode
	mapNode
)

// origin is one source after it was read. rank is its place in the order of
// precedence, the later the stronger.
type origin struct {
	open bool   // variables without a prefix: unknown ones are other programs'
	file string // path as it was given; "" for the environment and flags
	rank rank
}

// node is one value of one source, or, after merging, the strongest source's.
// A node is not changed once its tree is open.
type node struct {
	kind      nodeKind
	plain     bool // unquoted yaml: its text may serve as a string whatever it looks like
	bad       bool // told already: its layout passes over it
	literal   bool // never an alias: the content of a secret's file
	line, col int32
	text      string // of a scalar, as it was written; a string without its quotes
	kids      []kid  // of a list or a map
	from      *origin
	over      *node // what it shadows, of weaker sources
	rare      *rare
}

// rare is what few nodes have.
type rare struct {
	name  string // the variable or flag that gave it
	own   *node  // of a merged map: what the strongest source gave by itself
	base  *node  // of a map: the alias below it that it adds to
	via   *node  // of a resolved alias: the value that it names
	alias string // of a resolved alias: the alias as it was written
}

var noRare rare // never written

// more is for reading, edit for writing.
func (n *node) more() *rare {
	if n.rare == nil {
		return &noRare
	}
	return n.rare
}

func (n *node) edit() *rare {
	if n.rare == nil {
		n.rare = new(rare)
	}
	return n.rare
}

// kid is an element of a list, whose key is "", or an entry of a map.
type kid struct {
	key       string
	line, col int32 // of the key
	*node
}

func (n *node) pos() Position {
	if n == nil || n.from == nil {
		return Position{}
	}
	return Position{File: n.from.file, Name: n.more().name, Line: int(n.line), Column: int(n.col)}
}

// keyPos is where an unknown or doubled key is told: at the key.
func (k kid) keyPos() Position {
	p := k.pos()
	if k.line > 0 {
		p.Line, p.Column = int(k.line), int(k.col)
	}
	return p
}

// get is the entry of a map, or nil.
func (n *node) get(key string) *node {
	if n == nil || n.kind != mapNode {
		return nil
	}
	for i := range n.kids {
		if n.kids[i].key == key {
			return n.kids[i].node
		}
	}
	return nil
}

// at follows one segment of a path: a key, or an index into a list.
func (n *node) at(segment string) *node {
	if n == nil {
		return nil
	}
	switch n.kind {
	case mapNode:
		return n.get(segment)
	case listNode:
		i, err := strconv.Atoi(segment)
		if err != nil || i < 0 || i >= len(n.kids) || segment != strconv.Itoa(i) {
			return nil
		}
		return n.kids[i].node
	}
	return nil
}

// set puts an entry, over one that is there.
func (n *node) set(key string, v *node) {
	for i := range n.kids {
		if n.kids[i].key == key {
			n.kids[i] = kid{key: key, node: v}
			return
		}
	}
	n.kids = append(n.kids, kid{key: key, node: v})
}

// what names a node's type for a message, with its text unless hide.
func (n *node) what(hide bool) string {
	show := func(what, text string) string {
		if hide {
			return "a " + what + " that is not shown"
		}
		return "the " + what + " " + text
	}
	text := clip(Redacted(n.text)) // in this order: what is cut off may be the sign of a password
	switch n.kind {
	case nullNode:
		return "nothing (null)"
	case boolNode:
		return show("boolean", text)
	case intNode:
		return show("number", text)
	case floatNode:
		return show("number", text)
	case timeNode:
		return show("time", text)
	case listNode:
		return fmt.Sprintf("a list of %d", len(n.kids))
	case mapNode:
		return fmt.Sprintf("a section of %d", len(n.kids))
	case textNode:
		if n.text == "" {
			return "an empty value"
		}
		if hide {
			return "a value that is not shown"
		}
		return strconv.Quote(text)
	}
	if n.text == "" {
		return "an empty string"
	}
	return show("string", strconv.Quote(text))
}

// clip keeps a message readable when somebody put a file's content in a setting.
func clip(s string) string {
	const most = 60
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// slab hands out the nodes of one source from blocks.
type slab struct {
	free []node
	from *origin
}

// newSlab guesses the number of a file's values: about one a line, or one in
// twenty bytes if the lines are long.
func newSlab(from *origin, data []byte) slab {
	guess := max(bytes.Count(data, []byte("\n")), len(data)/20) + 8
	return slab{from: from, free: make([]node, min(guess, 1024))}
}

func (s *slab) new() *node {
	if len(s.free) == 0 {
		s.free = make([]node, 16)
	}
	n := &s.free[0]
	s.free = s.free[1:]
	n.from = s.from
	return n
}

// duplicates tells each key that a map gives again. For small maps comparing
// all pairs is cheaper than a set.
func duplicates(kids []kid, report func(again, first kid)) {
	if len(kids) <= 16 {
		for i := 1; i < len(kids); i++ {
			for j := range i {
				if kids[i].key == kids[j].key {
					report(kids[i], kids[j])
					break
				}
			}
		}
		return
	}
	seen := make(map[string]int, len(kids))
	for i := range kids {
		if j, ok := seen[kids[i].key]; ok {
			report(kids[i], kids[j])
			continue
		}
		seen[kids[i].key] = i
	}
}

// joinPath writes a dotted path; a segment with a dot in it is quoted, so that
// a message cannot be read two ways. A key that is a URL is shown without its
// password.
func joinPath(segments []string) string {
	quoted := func(s string) bool { return s == "" || strings.ContainsAny(s, ". \t\n") || strings.Contains(s, "://") }
	if !slices.ContainsFunc(segments, quoted) {
		return strings.Join(segments, ".")
	}
	parts := slices.Clone(segments)
	for i, s := range parts {
		if quoted(s) {
			parts[i] = strconv.Quote(Redacted(s))
		}
	}
	return strings.Join(parts, ".")
}
