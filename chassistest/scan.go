package chassistest

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// scanner reads JSON that the clients and the queue of this process have written. A storm
// reads each request and each answer, for which a decoder with reflection takes more time
// than the queue. What is no JSON ends the text, and leaves failed true.
type scanner struct {
	text   string
	at     int
	failed bool
}

// next returns the next byte that is no space, without taking it; 0 at the end.
func (s *scanner) next() byte {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; c {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return c
		}
	}
	return 0
}

// take takes c.
func (s *scanner) take(c byte) bool {
	if s.next() != c {
		return false
	}
	s.at++
	return true
}

// fail ends the text.
func (s *scanner) fail() { s.at, s.failed = len(s.text), true }

// object reads an object. member must read the value of each name.
func (s *scanner) object(member func(name string)) {
	s.list('{', '}', func() {
		name := s.string()
		if !s.take(':') {
			s.fail()
			return
		}
		member(name)
	})
}

// array reads an array. element must read each element.
func (s *scanner) array(element func()) { s.list('[', ']', element) }

func (s *scanner) list(begin, end byte, element func()) {
	if !s.take(begin) {
		s.skip() // null, or of another kind
		return
	}
	for first := true; !s.failed && !s.take(end); first = false {
		if !first && !s.take(',') {
			s.fail()
			return
		}
		element()
	}
}

// string reads a string; null is an empty one.
func (s *scanner) string() string {
	raw := s.raw()
	if raw == "null" {
		return ""
	}
	if len(raw) < 2 || raw[0] != '"' {
		s.fail()
		return ""
	}
	if strings.IndexByte(raw, '\\') < 0 {
		return raw[1 : len(raw)-1]
	}
	plain, err := jsontext.AppendUnquote(nil, raw)
	if err != nil {
		s.fail()
	}
	return string(plain)
}

// number reads a whole number.
func (s *scanner) number() int {
	n, err := strconv.Atoi(s.raw())
	if err != nil {
		s.fail()
	}
	return n
}

// skip reads a value of any kind.
func (s *scanner) skip() {
	switch s.next() {
	case '{':
		s.object(func(string) { s.skip() })
	case '[':
		s.array(s.skip)
	default:
		s.raw()
	}
}

// raw reads a string, a number or a word, as it is written.
func (s *scanner) raw() string {
	if s.next() == 0 {
		s.fail()
		return ""
	}
	from := s.at
	if s.text[from] == '"' {
		for s.at++; s.at < len(s.text); s.at++ {
			switch s.text[s.at] {
			case '\\':
				s.at++
			case '"':
				s.at++
				return s.text[from:s.at]
			}
		}
		s.fail()
		return ""
	}
	for s.at < len(s.text) && strings.IndexByte(",:{}[] \t\n\r\"", s.text[s.at]) < 0 {
		s.at++
	}
	if s.at == from {
		s.fail()
		return ""
	}
	return s.text[from:s.at]
}
