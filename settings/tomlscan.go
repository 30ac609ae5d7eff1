package settings

import (
	"bytes"
	"strconv"
	"strings"
)

// tomlScan is the places of a toml file's keys and values. It follows the
// grammar loosely: what is not toml is the parser's to tell, so a scan never
// fails, it only loses places.
type tomlScan struct {
	data      []byte
	slab      slab
	find      finder
	col       columns
	root      *node
	doubles   []tomlDouble
	i         int
	line      int
	lineStart int
	depth     int
	tooDeep   bool
	headers   map[*node]kid // tables that a header [a.b] has opened
	cut       *tomlDouble   // the doubled table whose body is being passed
}

// tomlDouble is a statement that gives a key again: [start, end) of the file.
type tomlDouble struct {
	again, first kid
	start, end   int
}

type tomlKey struct {
	text      string
	line, col int32
}

func scanTOML(from *origin, data []byte) *tomlScan {
	s := &tomlScan{data: data, col: columns{data: data}, slab: newSlab(from, data), line: 1, headers: map[*node]kid{}}
	s.root = s.slab.new()
	s.root.kind = mapNode
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
		case c == ' ' || c == '\t' || c == '\r':
			s.i++
		case c == '\n' && lines:
			s.newline()
		case c == '#':
			for s.i < len(s.data) && s.data[s.i] != '\n' {
				s.i++
			}
		default:
			return
		}
	}
}

func (s *tomlScan) newline() {
	s.i++
	s.line++
	s.lineStart = s.i
}

func (s *tomlScan) peek(text string) bool { return bytes.HasPrefix(s.data[s.i:], []byte(text)) }

// header reads [a.b] or [[a.b]] and gives the table that the next pairs go to.
func (s *tomlScan) header(start int) *node {
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
		return s.slab.new()
	}
	parent := s.descend(s.root, keys[:len(keys)-1])
	last := keys[len(keys)-1]
	here := s.slab.new()
	here.kind, here.line, here.col = mapNode, last.line, last.col
	entry := kid{key: last.text, line: last.line, col: last.col, node: here}
	old := s.find.get(parent, last.text)
	switch {
	case list && old == nil:
		entry.node = s.slab.new()
		entry.kind, entry.line, entry.col = listNode, last.line, last.col
		entry.kids = []kid{{node: here}}
		parent.kids = append(parent.kids, entry)
		s.headers[entry.node] = entry
	case list && old.kind == listNode && s.headers[old].node != nil:
		old.kids = append(old.kids, kid{node: here})
	case old == nil:
		parent.kids = append(parent.kids, entry)
		s.headers[here] = entry
	case !list && old.kind == mapNode && s.headers[old].node == nil && !old.literal:
		s.headers[old] = entry // made by a deeper header: [a.b] before [a]
		return old
	default:
		first := s.headers[old]
		if first.node == nil {
			first = kid{key: last.text, line: old.line, col: old.col, node: old}
		}
		s.cut = &tomlDouble{again: entry, first: first, start: start}
	}
	return here
}

// pair reads key = value into table.
func (s *tomlScan) pair(table *node, start int) {
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

func (s *tomlScan) put(table *node, keys []tomlKey, value *node, start int) {
	parent := s.descend(table, keys[:len(keys)-1])
	last := keys[len(keys)-1]
	entry := kid{key: last.text, line: last.line, col: last.col, node: value}
	if i := s.find.place(parent, last.text); i >= 0 {
		if s.cut == nil {
			s.doubles = append(s.doubles, tomlDouble{again: entry, first: parent.kids[i], start: start, end: s.i})
		}
		return
	}
	parent.kids = append(parent.kids, entry)
}

func (s *tomlScan) descend(n *node, keys []tomlKey) *node {
	for _, k := range keys {
		next := s.find.get(n, k.text)
		if next == nil {
			next = s.slab.new()
			next.kind, next.line, next.col = mapNode, k.line, k.col
			n.kids = append(n.kids, kid{key: k.text, line: k.line, col: k.col, node: next})
		}
		if next.kind == listNode && len(next.kids) > 0 {
			next = next.kids[len(next.kids)-1].node
		}
		n = next
	}
	return n
}

func (s *tomlScan) keys() []tomlKey {
	var keys []tomlKey
	for {
		s.skip(false)
		k := tomlKey{line: int32(s.line), col: s.col.at(s.lineStart, s.i)}
		start := s.i
		switch {
		case s.i >= len(s.data):
			return keys
		case s.data[s.i] == '"' || s.data[s.i] == '\'':
			s.quoted()
			k.text = unquoteTOML(s.data[start:s.i])
		default:
			for s.i < len(s.data) && isWord(rune(s.data[s.i])) {
				s.i++
			}
			if s.i == start {
				return keys
			}
			k.text = string(s.data[start:s.i])
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

func (s *tomlScan) value() *node {
	n := s.slab.new()
	n.line, n.col = int32(s.line), s.col.at(s.lineStart, s.i)
	n.literal = true // written out: no header may open it again
	if s.i >= len(s.data) {
		return n
	}
	switch s.data[s.i] {
	case '"', '\'':
		n.kind = stringNode
		s.quoted()
	case '[':
		n.kind = listNode
		s.inside(']', func() { n.kids = append(n.kids, kid{node: s.value()}) })
	case '{':
		n.kind = mapNode
		s.inside('}', func() { s.pair(n, s.i) })
	default:
		n.kind = textNode
		for s.i < len(s.data) && !strings.ContainsRune(",]}#\n", rune(s.data[s.i])) {
			s.i++
		}
	}
	n.literal = n.kind == mapNode || n.kind == listNode
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
	q := s.data[s.i]
	triple := s.peek(strings.Repeat(string(q), 3))
	if triple {
		s.i += 3
	} else {
		s.i++
	}
	for s.i < len(s.data) {
		switch c := s.data[s.i]; {
		case c == '\\' && q == '"':
			s.i++
			if s.i < len(s.data) && s.data[s.i] != '\n' {
				s.i++
			}
		case c == '\n' && !triple:
			return
		case c == '\n':
			s.newline()
		case c != q:
			s.i++
		case !triple:
			s.i++
			return
		case s.peek(strings.Repeat(string(q), 3)):
			for n := 0; n < 5 && s.i < len(s.data) && s.data[s.i] == q; n++ {
				s.i++ // up to two quotes may stand before the closing three
			}
			return
		default:
			s.i++
		}
	}
}

func (s *tomlScan) toLineEnd() {
	for s.i < len(s.data) && s.data[s.i] != '\n' {
		s.i++
	}
}

// unquoteTOML reads a quoted key. Its escapes are those of Go but \e and
// surrogates, which make it only lose its place.
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
