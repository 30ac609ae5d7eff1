package settings

import (
	"encoding/json"
	"errors"
	"strings"
)

// parseJSON reads one value. The standard decoder judges the text; what it has
// found right is then walked again for the places, which it does not give.
func parseJSON(o *opening, from *origin, data []byte) *node {
	if len(strings.TrimSpace(string(data))) == 0 {
		o.fail(&Error{Kind: KindSyntax, Pos: Position{File: from.file, Line: 1, Column: 1}, Problem: "expected a JSON object, found an empty file"})
		return nil
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		at := len(data)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && !strings.HasPrefix(syntax.Error(), "unexpected end") {
			at = int(syntax.Offset) - 1
		}
		line, col := lineColumn(data, at)
		o.fail(&Error{Kind: KindSyntax, Pos: Position{File: from.file, Line: line, Column: col}, Problem: jsonProblem(data, at, err)})
		return nil
	}
	j := &jsonReader{o: o, data: data, col: columns{data: data}, slab: newSlab(from, data), line: 1}
	return j.value()
}

// jsonProblem says the decoder's message in terms of what to do.
func jsonProblem(data []byte, at int, err error) string {
	msg := err.Error()
	found := "the end of the file"
	if at < len(data) {
		found = string([]rune(string(data[at:min(len(data), at+4)]))[:1])
	}
	switch {
	case strings.Contains(msg, "max depth"):
		return "brackets are nested more than 10000 deep"
	case strings.HasPrefix(msg, "unexpected end"):
		return "the file ends too early: a quote, ] or } is missing"
	case found == "/" || found == "#":
		return "JSON has no comments: take it out, or use yaml or toml"
	case strings.Contains(msg, "looking for beginning of object key string"):
		if found == "}" {
			return "expected a key, found }: the comma before it is one too many"
		}
		return "expected a key in double quotes, found " + found
	case strings.Contains(msg, "after object key:value pair"):
		return "expected , or } after the value, found " + found
	case strings.Contains(msg, "after object key"):
		return "expected : after the key, found " + found
	case strings.Contains(msg, "after array element"):
		return "expected , or ] after the element, found " + found
	case strings.Contains(msg, "after top-level value"):
		return "expected the end of the file, found " + found
	case strings.Contains(msg, "looking for beginning of value"):
		if found == "]" {
			return "expected a value, found ]: the comma before it is one too many"
		}
		if found == "'" {
			return "expected a value, found ': strings are in double quotes"
		}
		return "expected a value, found " + found
	case strings.Contains(msg, "in string literal"):
		return "a string cannot hold a line break or control character: write \\n"
	case strings.Contains(msg, "in string escape code"):
		return "expected one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\u after the backslash"
	}
	return "not JSON from here on"
}

// jsonReader walks text that is known to be valid JSON.
type jsonReader struct {
	o         *opening
	data      []byte
	slab      slab
	col       columns
	i         int
	line      int
	lineStart int
}

func (j *jsonReader) space() {
	for j.i < len(j.data) {
		switch j.data[j.i] {
		case '\n':
			j.line++
			j.lineStart = j.i + 1
		case ' ', '\t', '\r':
		default:
			return
		}
		j.i++
	}
}

func (j *jsonReader) column() int32 { return j.col.at(j.lineStart, j.i) }

func (j *jsonReader) value() *node {
	j.space()
	n := j.slab.new()
	n.line, n.col = int32(j.line), j.column()
	switch c := j.data[j.i]; c {
	case '{':
		n.kind = mapNode
		j.object(n)
	case '[':
		n.kind = listNode
		j.array(n)
	case '"':
		n.kind, n.text = stringNode, j.string()
		if strings.HasPrefix(n.text, ".") {
			j.o.dotted = true
		}
	default:
		start := j.i
		for j.i < len(j.data) && !strings.ContainsRune(",]} \t\r\n", rune(j.data[j.i])) {
			j.i++
		}
		n.text = string(j.data[start:j.i])
		switch {
		case c == 't' || c == 'f':
			n.kind = boolNode
		case c == 'n':
			n.kind = nullNode
		case strings.ContainsAny(n.text, ".eE"):
			n.kind = floatNode
		default:
			n.kind = intNode
		}
	}
	return n
}

func (j *jsonReader) object(n *node) {
	j.i++ // {
	for {
		j.space()
		switch j.data[j.i] {
		case '}':
			j.i++
			duplicates(n.kids, func(again, first kid) { j.o.failDuplicate(again, first) })
			return
		case ',':
			j.i++
			continue
		}
		k := kid{line: int32(j.line), col: j.column()}
		k.key = j.string()
		j.space()
		j.i++ // :
		k.node = j.value()
		n.kids = append(n.kids, k)
	}
}

func (j *jsonReader) array(n *node) {
	j.i++ // [
	for {
		j.space()
		switch j.data[j.i] {
		case ']':
			j.i++
			return
		case ',':
			j.i++
			continue
		}
		n.kids = append(n.kids, kid{node: j.value()})
	}
}

func (j *jsonReader) string() string {
	start, escaped := j.i, false
	for j.i++; j.data[j.i] != '"'; j.i++ {
		if j.data[j.i] == '\\' {
			escaped = true
			j.i++
		}
	}
	j.i++
	if !escaped {
		return string(j.data[start+1 : j.i-1])
	}
	var s string
	if json.Unmarshal(j.data[start:j.i], &s) != nil {
		return string(j.data[start+1 : j.i-1]) // cannot be: the text was judged valid
	}
	return s
}
