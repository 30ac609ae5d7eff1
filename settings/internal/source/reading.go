// Package source turns text into a tree of values with their places: yaml, toml, json and the lines of a .env
// file. It knows no layout; package settings merges the trees and reads them into structs.
package source

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Reading is one text as it is read. A method for each notation returns the tree, or nil if the text cannot be
// read; its mistakes are then noted here.
type Reading struct {
	From     *Origin
	Dotted   bool // some string begins with a dot and may be an alias
	Mistakes []Mistake
}

// Mistake is one mistake of a text. Its Problem quotes nothing that may be a secret.
type Mistake struct {
	Kind         MistakeKind
	Line, Column int // from 1, in characters; 0 if the mistake is about the whole text
	Problem      string
}

// MistakeKind is what is wrong.
type MistakeKind uint8

const (
	Syntax MistakeKind = iota
	Unreadable
	Duplicate
	WrongType
	Cycle // an anchor that holds itself
)

// MaxMistakes is the most mistakes of one text that are worth a message. One more is noted.
const MaxMistakes = 1000

func (r *Reading) fail(kind MistakeKind, line, col int, problem string) {
	if len(r.Mistakes) <= MaxMistakes {
		r.Mistakes = append(r.Mistakes, Mistake{kind, line, col, problem})
	}
}

func (r *Reading) failAt(data []byte, offset int, problem string) {
	line, col := lineColumn(data, offset)
	r.fail(Syntax, line, col, problem)
}

// noteDot notes a string that may be an alias.
func (r *Reading) noteDot(text string) { r.Dotted = r.Dotted || strings.HasPrefix(text, ".") }

// duplicates reports each key that a map gives again.
func (r *Reading) duplicates(n *Node) {
	var find Finder
	for i, k := range n.Kids {
		if first := find.Index(n, k.Key); first < i {
			r.failDuplicate(k, n.Kids[first])
		}
	}
}

func (r *Reading) failDuplicate(again, first Kid) {
	line, col := again.KeyPlace()
	where := ""
	if first.Line > 0 {
		where = " on line " + strconv.Itoa(int(first.Line))
	}
	r.fail(Duplicate, line, col, "the key "+QuoteKey(again.Key)+" is given already"+where)
}

// Sections reads a whole file by parse, which is YAML, TOML or JSON and named for a message. The result is a map,
// or nil if there are mistakes. A file with nothing in it is an empty map.
func (r *Reading) Sections(name string, data []byte, parse func([]byte) *Node) (root *Node) {
	defer func() {
		// A parser that panics on some input must cost a message, not the process.
		if recover() != nil {
			root = nil
			r.fail(Syntax, 0, 0, "the "+name+" parser gave up on this file")
		}
	}()
	before := len(r.Mistakes)
	data, ok := r.Text(data)
	if !ok {
		return nil
	}
	if at := bytes.IndexByte(data, 0); at >= 0 {
		r.failAt(data, at, "expected text, found a NUL byte: is the file UTF-16, or no text at all?")
		return nil
	}
	switch root = parse(data); {
	case root == nil && len(r.Mistakes) > before:
		return nil
	case root == nil || root.Kind == Null:
		return &Node{Kind: Map, From: r.From}
	case root.Kind != Map:
		r.fail(WrongType, int(root.Line), int(root.Col),
			"expected sections (key: value) at the top, found "+root.What(true))
		return nil
	}
	return root
}

var errTooLarge = fmt.Errorf("it is larger than %d MiB, the most that a file of settings may be", maxFile>>20)
