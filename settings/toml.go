package settings

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// maxNesting bounds brackets within brackets, and the names of a dotted key:
// the toml parser calls itself for each, and a Go stack that overflows cannot
// be recovered from.
const maxNesting = 1000

// parseTOML takes the values from the toml package, of which this is the only
// use, and the places from a scan of its own, for the package does not tell them.
func parseTOML(o *opening, from *origin, data []byte) *node {
	scan := scanTOML(from, data)
	if scan.tooDeep {
		o.fail(&Error{Kind: KindSyntax, Pos: Position{File: from.file, Line: scan.line, Column: 1}, Problem: "sections or lists are nested more than " + strconv.Itoa(maxNesting) + " deep"})
		return nil
	}
	var top any // the parsed maps themselves, without the decoder's copy
	_, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&top)
	if err != nil && len(scan.doubles) > 0 {
		// The parser stops at the first doubled key. All are told here, and the
		// rest of the file is read without them.
		blank := slices.Clone(data)
		for _, d := range scan.doubles {
			o.failDuplicate(d.again, d.first)
			for i := commaBefore(data, d.start); i < d.end; i++ {
				if blank[i] != '\n' {
					blank[i] = ' '
				}
			}
		}
		_, err = toml.NewDecoder(bytes.NewReader(blank)).Decode(&top)
	}
	if err != nil {
		pos := Position{File: from.file}
		var pe toml.ParseError
		problem := "not TOML from here on"
		if errors.As(err, &pe) {
			start, line := pe.Position.Start, pe.Position.Line
			if strings.Contains(pe.Message, "to end table name") && start <= len(data) {
				// The parser passes the line break before it sees that ] is missing.
				start = len(bytes.TrimRight(data[:start], " \t\r\n"))
				line, _ = lineColumn(data, start)
			}
			pos.Line, pos.Column = tomlErrorPlace(data, start, line)
			problem = tomlProblem(pe.Message)
		}
		o.fail(&Error{Kind: KindSyntax, Pos: pos, Problem: problem})
		return nil
	}
	fillTOML(o, scan, scan.root, top)
	return scan.root
}

// commaBefore goes back over the comma of an inline table's entry, for an
// entry that is left out must not leave it behind.
func commaBefore(data []byte, at int) int {
	for i := at - 1; i >= 0; i-- {
		switch data[i] {
		case ' ', '\t':
		case ',':
			return i
		default:
			return at
		}
	}
	return at
}

// fillTOML gives the scanned places the parsed values. The parser's word is
// what counts: a place without a value is dropped, a value without a place is
// kept without one.
func fillTOML(o *opening, s *tomlScan, n *node, value any) {
	n.kids = slices.DeleteFunc(n.kids, func(k kid) bool { return k.node == nil })
	switch v := value.(type) {
	case map[string]any:
		n.kind = mapNode
		kids := n.kids[:0]
		for _, k := range n.kids {
			if inner, ok := v[k.key]; ok {
				fillTOML(o, s, k.node, inner)
				kids = append(kids, k)
			}
		}
		n.kids = kids
		if len(kids) < len(v) {
			var find finder
			for key, inner := range v {
				if find.get(n, key) == nil {
					c := s.slab.new()
					fillTOML(o, s, c, inner)
					n.kids = append(n.kids, kid{key: key, node: c})
				}
			}
		}
	case []map[string]any:
		fillList(o, s, n, len(v), func(i int) any { return v[i] })
	case []any:
		fillList(o, s, n, len(v), func(i int) any { return v[i] })
	case string:
		n.kind, n.text = stringNode, v
		if strings.HasPrefix(v, ".") {
			o.dotted = true
		}
	case bool:
		n.kind, n.text = boolNode, strconv.FormatBool(v)
	case int64:
		n.kind, n.text = intNode, strconv.FormatInt(v, 10)
	case float64:
		n.kind, n.text = floatNode, strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		n.kind, n.text = timeNode, tomlTime(v)
	}
}

func fillList(o *opening, s *tomlScan, n *node, length int, at func(int) any) {
	n.kind = listNode
	for len(n.kids) < length {
		n.kids = append(n.kids, kid{node: s.slab.new()})
	}
	n.kids = n.kids[:length]
	for i := range n.kids {
		fillTOML(o, s, n.kids[i].node, at(i))
	}
}

// tomlTime writes a time as toml does; the parser marks the kinds without a
// zone by the name of the time's location.
func tomlTime(t time.Time) string {
	switch t.Location().String() {
	case "datetime-local":
		return t.Format("2006-01-02T15:04:05.999999999")
	case "date-local":
		return t.Format("2006-01-02")
	case "time-local":
		return t.Format("15:04:05.999999999")
	}
	return t.Format(time.RFC3339Nano)
}

// tomlErrorPlace gives line and column of the parser's byte offset; its line
// goes before, for some of its errors have no offset.
func tomlErrorPlace(data []byte, start, line int) (int, int) {
	for start < len(data) && (data[start] == ' ' || data[start] == '\t') {
		start++
	}
	l, c := lineColumn(data, start)
	if line > 0 && l != line {
		return line, 1
	}
	return l, c
}

// tomlProblem passes the parser's message on without what it quotes of the
// file, which may be a secret that somebody forgot to put in quotes.
func tomlProblem(msg string) string {
	var b strings.Builder
	for i := 0; i < len(msg); i++ {
		c := msg[i]
		if c != '"' && c != '\'' && c != '`' {
			b.WriteByte(c)
			continue
		}
		end := strings.IndexByte(msg[i+1:], c)
		if end < 0 {
			break
		}
		if inner := msg[i+1 : i+1+end]; len(inner) <= 1 || !strings.ContainsFunc(inner, isWord) {
			b.WriteString(msg[i : i+2+end])
		} else {
			b.WriteString("something else")
		}
		i += end + 1
	}
	return strings.TrimSpace(b.String())
}

func isWord(r rune) bool {
	return r == '_' || r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r >= 0x80
}
