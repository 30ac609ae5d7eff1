package source

import (
	"bytes"
	"fmt"
	"strconv"
)

// Kind is the type that a value has in its source.
type Kind uint8

const (
	Null Kind = iota
	Bool
	Int
	Float
	Time
	String
	Text // of a variable or a flag: the layout decides the type
	List
	Map
)

// Rank orders sources: a value of a higher rank shadows one of a lower rank. Within a rank a later source wins.
type Rank uint8

const (
	Default Rank = iota
	File
	Profile
	DotEnv
	Env
	MountedFile // of PREFIX_NAME_FILE
	Flag
)

// Origin is the source of a node.
type Origin struct {
	Open bool   // variables without a prefix: the unknown ones belong to other programs
	File string // path as it was given, or an address in a store; "" for the environment and flags
	Rank Rank

	// The rest is of values of a store.
	Stored     bool
	Version    string // as the store has it
	Secret     bool   // the store keeps it as a secret: it is never shown
	Referenced bool   // another source refers to it
}

// Node is one value of one source; after merging it is the value of the strongest source.
type Node struct {
	Kind      Kind
	Plain     bool // unquoted yaml: its text may serve as a string whatever it looks like
	Bad       bool // its mistake is reported already: the layout ignores it
	Literal   bool // never an alias: the content of a mounted file, or the target of an alias
	Line, Col int32
	Text      string // of a scalar, as it was written; a string without its quotes
	Kids      []Kid  // of a list or a map
	From      *Origin
	Over      *Node // what it shadows, of weaker sources
	Rare      *Rare // nil where More gives nothing
}

// Rare is what few nodes have.
type Rare struct {
	Name  string // the variable or flag that gave it
	Own   *Node  // of a merged map: what the strongest source gave by itself
	Base  *Node  // of a map: the alias below it that it adds to
	Via   *Node  // of a resolved alias: the value that it names
	Alias string // of a resolved alias: the alias as it was written
	Ref   *Node  // of a value of a store: the reference to it
}

var noRare Rare // never written

// More returns the rare parts for reading.
func (n *Node) More() *Rare {
	if n.Rare == nil {
		return &noRare
	}
	return n.Rare
}

// Edit returns the rare parts for writing.
func (n *Node) Edit() *Rare {
	if n.Rare == nil {
		n.Rare = new(Rare)
	}
	return n.Rare
}

// Kid is an element of a list, with the key "", or an entry of a map.
type Kid struct {
	Key       string
	Line, Col int32 // of the key
	*Node
}

// KeyPlace is the place of the key, or of the value where the key has none.
func (k Kid) KeyPlace() (line, col int) {
	if k.Line > 0 {
		return int(k.Line), int(k.Col)
	}
	return int(k.Node.Line), int(k.Node.Col)
}

// Get returns the entry of a map, or nil.
func (n *Node) Get(key string) *Node {
	var find Finder
	return find.Get(n, key)
}

// At follows one segment of a path: a key, or an index into a list. It returns nil if nothing is there.
func (n *Node) At(segment string) *Node {
	var find Finder
	return find.At(n, segment)
}

// Set puts an entry into a map, in place of one with the same key.
func (n *Node) Set(key string, v *Node) {
	var find Finder
	if i := find.Index(n, key); i >= 0 {
		n.Kids[i] = Kid{Key: key, Node: v}
		return
	}
	n.Kids = append(n.Kids, Kid{Key: key, Node: v})
}

// What names a node's type for a message, with its text unless hide is set.
func (n *Node) What(hide bool) string {
	text := Clip(Redacted(n.Text)) // in this order: what is cut off may be the sign of a password
	what := "string"
	switch n.Kind {
	case Null:
		return "nothing (null)"
	case List:
		return fmt.Sprintf("a list of %d", len(n.Kids))
	case Map:
		return fmt.Sprintf("a section of %d", len(n.Kids))
	case Bool:
		what = "boolean"
	case Int, Float:
		what = "number"
	case Time:
		what = "time"
	case Text:
		switch {
		case n.Text == "":
			return "an empty value"
		case hide:
			return "a value that is not shown"
		}
		return strconv.Quote(text)
	case String:
		if n.Text == "" {
			return "an empty string"
		}
		text = strconv.Quote(text)
	}
	if hide {
		return "a " + what + " that is not shown"
	}
	return "the " + what + " " + text
}

// Slab hands out the nodes of one source from blocks.
type Slab struct {
	free []Node
	from *Origin
}

// NewSlab returns a slab with n nodes in its first block.
func NewSlab(from *Origin, n int) Slab { return Slab{from: from, free: make([]Node, n)} }

// newSlab guesses the number of a file's values: one a line, or one in twenty bytes if the lines are long.
func newSlab(from *Origin, data []byte) Slab {
	guess := max(bytes.Count(data, []byte("\n")), len(data)/20) + 8
	return NewSlab(from, min(guess, 1024))
}

// New returns a null node of the slab's source.
func (s *Slab) New() *Node {
	if len(s.free) == 0 {
		s.free = make([]Node, 16)
	}
	n := &s.free[0]
	s.free = s.free[1:]
	n.From = s.from
	return n
}
