package source

import (
	"bytes"
	"strconv"
	"strings"
)

// tomlScan is the places of a toml file's keys and values. It follows the grammar loosely: the parser reports what
// is not toml, and a scan never fails, it only loses places.
type tomlScan struct {
	data    []byte
	slab    Slab
	find    Finder
	place   cursor
	root    *Node
	doubles []tomlDouble
	i       int
	depth   int
	tooDeep bool
	headers map[*Node]Kid // tables that a header [a.b] has opened
	cut     *tomlDouble   // the doubled table with the body that is being passed
}

// tomlDouble is a statement that gives a key again: [start, end) of the file.
type tomlDouble struct {
	again, first Kid
	start, end   int
}

func scanTOML(from *Origin, data []byte) *tomlScan {
	s := &tomlScan{data: data, place: cursor{data: data}, slab: newSlab(from, data), headers: map[*Node]Kid{}}
	s.root = s.slab.New()
	s.root.Kind = Map
	table := s.root
	for s.skip(true); s.i < len(s.data) && !s.tooDeep; s.skip(true) {
		start := s.i
		if s.data[s.i] == '[' {
			s.endCut(start)
			table = s.header(start)
		} else {
			s.pair(table, start)
		}
		if s.i == start {
			s.i++ // not toml; get on
		}
	}
	s.endCut(len(data))
	return s
}

func (s *tomlScan) endCut(at int) {
	if s.cut != nil {
		s.cut.end = at
		s.doubles = append(s.doubles, *s.cut)
		s.cut = nil
	}
}

// skip passes blanks and comments, and line breaks too if lines.
func (s *tomlScan) skip(lines bool) {
	for s.i < len(s.data) {
		switch c := s.data[s.i]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' && lines:
			s.i++
		case c == '#':
			s.toLineEnd()
		default:
			return
		}
	}
}

func (s *tomlScan) peek(text string) bool { return bytes.HasPrefix(s.data[s.i:], []byte(text)) }

// header reads [a.b] or [[a.b]] and gives the table that the next pairs go to.
func (s *tomlScan) header(start int) *Node {
	list := s.peek("[[")
	s.i++
	if list {
		s.i++
	}
	keys := s.keys()
	for s.i < len(s.data) && s.data[s.i] == ']' {
		s.i++
	}
	if len(keys) == 0 {
		return s.slab.New()
	}
	parent := s.descend(s.root, keys[:len(keys)-1])
	last := keys[len(keys)-1]
	here := s.slab.New()
	here.Kind, here.Line, here.Col = Map, last.Line, last.Col
	entry := last
	entry.Node = here
	old := s.find.Get(parent, last.Key)
	switch {
	case list && old == nil:
		entry.Node = s.slab.New()
		entry.Kind, entry.Line, entry.Col = List, last.Line, last.Col
		entry.Kids = []Kid{{Node: here}}
		parent.Kids = append(parent.Kids, entry)
		s.headers[entry.Node] = entry
	case list && old.Kind == List && s.headers[old].Node != nil:
		old.Kids = append(old.Kids, Kid{Node: here})
	case old == nil:
		parent.Kids = append(parent.Kids, entry)
		s.headers[here] = entry
	case !list && old.Kind == Map && s.headers[old].Node == nil && !old.Literal:
		s.headers[old] = entry // made by a deeper header: [a.b] before [a]
		return old
	default:
		first := s.headers[old]
		if first.Node == nil {
			first = Kid{Key: last.Key, Line: old.Line, Col: old.Col, Node: old}
		}
		s.cut = &tomlDouble{again: entry, first: first, start: start}
	}
	return here
}

// pair reads key = value into table.
func (s *tomlScan) pair(table *Node, start int) {
	keys := s.keys()
	s.skip(false)
	if len(keys) == 0 || s.i >= len(s.data) || s.data[s.i] != '=' {
		s.toLineEnd()
		return
	}
	s.i++
	s.skip(false)
	value := s.value()
	s.put(table, keys, value, start)
}

func (s *tomlScan) put(table *Node, keys []Kid, value *Node, start int) {
	parent := s.descend(table, keys[:len(keys)-1])
	last := keys[len(keys)-1]
	entry := last
	entry.Node = value
	if i := s.find.Index(parent, last.Key); i >= 0 {
		if s.cut == nil {
			s.doubles = append(s.doubles, tomlDouble{again: entry, first: parent.Kids[i], start: start, end: s.i})
		}
		return
	}
	parent.Kids = append(parent.Kids, entry)
}

func (s *tomlScan) descend(n *Node, keys []Kid) *Node {
	for _, k := range keys {
		next := s.find.Get(n, k.Key)
		if next == nil {
			next = s.slab.New()
			next.Kind, next.Line, next.Col = Map, k.Line, k.Col
			n.Kids = append(n.Kids, Kid{Key: k.Key, Line: k.Line, Col: k.Col, Node: next})
		}
		if next.Kind == List && len(next.Kids) > 0 {
			next = next.Kids[len(next.Kids)-1].Node
		}
		n = next
	}
	return n
}

func (s *tomlScan) keys() []Kid {
	var keys []Kid
	for {
		s.skip(false)
		var k Kid
		k.Line, k.Col = s.place.at(s.i)
		start := s.i
		switch {
		case s.i >= len(s.data):
			return keys
		case s.data[s.i] == '"' || s.data[s.i] == '\'':
			s.quoted()
			k.Key = unquoteTOML(s.data[start:s.i])
		default:
			for s.i < len(s.data) && isWord(rune(s.data[s.i])) {
				s.i++
			}
			if s.i == start {
				return keys
			}
			k.Key = string(s.data[start:s.i])
		}
		if keys = append(keys, k); len(keys) > maxNesting {
			s.tooDeep = true
			return keys
		}
		s.skip(false)
		if s.i >= len(s.data) || s.data[s.i] != '.' {
			return keys
		}
		s.i++
	}
}

func (s *tomlScan) value() *Node {
	n := s.slab.New()
	n.Line, n.Col = s.place.at(s.i)
	n.Literal = true // written out: no header may open it again
	if s.i >= len(s.data) {
		return n
	}
	switch s.data[s.i] {
	case '"', '\'':
		n.Kind = String
		s.quoted()
	case '[':
		n.Kind = List
		s.inside(']', func() { n.Kids = append(n.Kids, Kid{Node: s.value()}) })
	case '{':
		n.Kind = Map
		s.inside('}', func() { s.pair(n, s.i) })
	default:
		n.Kind = Text
		for s.i < len(s.data) && !strings.ContainsRune(",]}#\n", rune(s.data[s.i])) {
			s.i++
		}
	}
	n.Literal = n.Kind == Map || n.Kind == List
	return n
}

// inside reads items divided by commas up to the closing bracket.
func (s *tomlScan) inside(closing byte, item func()) {
	if s.depth++; s.depth > maxNesting {
		s.tooDeep = true
	}
	defer func() { s.depth-- }()
	s.i++
	for s.skip(true); s.i < len(s.data) && !s.tooDeep; s.skip(true) {
		switch s.data[s.i] {
		case closing:
			s.i++
			return
		case ',':
			s.i++
			continue
		case ']', '}':
			return
		}
		start := s.i
		if item(); s.i == start {
			s.i++
		}
	}
}

// quoted passes a string of any of the four kinds.
func (s *tomlScan) quoted() {
	q, end := s.data[s.i], `"""`
	if q == '\'' {
		end = "'''"
	}
	if !s.peek(end) {
		end = end[:1]
	}
	for s.i += len(end); s.i < len(s.data) && !s.peek(end); s.i++ {
		switch c := s.data[s.i]; {
		case c == '\n' && len(end) == 1:
			return
		case c == '\\' && q == '"' && s.i+1 < len(s.data) && s.data[s.i+1] != '\n':
			s.i++
		}
	}
	s.i = min(s.i+len(end), len(s.data))
	for n := 0; n < 2 && len(end) == 3 && s.i < len(s.data) && s.data[s.i] == q; n++ {
		s.i++ // up to two quotes may stand before the closing three
	}
}

func (s *tomlScan) toLineEnd() {
	for s.i < len(s.data) && s.data[s.i] != '\n' {
		s.i++
	}
}

// unquoteTOML reads a quoted key. Its escapes are those of Go but \e and surrogates, which make it only lose its
// place.
func unquoteTOML(raw []byte) string {
	if len(raw) < 2 {
		return string(raw)
	}
	inner := string(raw[1 : len(raw)-1])
	if raw[0] == '\'' || !strings.Contains(inner, `\`) {
		return inner
	}
	if s, err := strconv.Unquote(string(raw)); err == nil {
		return s
	}
	return inner
}
