package source

import (
	"encoding/json"
	"errors"
	"strings"
)

// JSON reads one value. The standard decoder finds the mistakes; the valid text is then walked again for the
// places of its values, which the decoder does not give.
func (r *Reading) JSON(data []byte) *Node {
	if len(strings.TrimSpace(string(data))) == 0 {
		r.fail(Syntax, 1, 1, "expected a JSON object, found an empty file")
		return nil
	}
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil {
		at := len(data)
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && !strings.HasPrefix(syntax.Error(), "unexpected end") {
			at = int(syntax.Offset) - 1
		}
		r.failAt(data, at, jsonProblem(data, at, err))
		return nil
	}
	j := &jsonReader{r: r, data: data, place: cursor{data: data}, slab: newSlab(r.From, data)}
	return j.value()
}

// jsonProblem rewrites the decoder's message: what was expected, and what to do.
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
	r     *Reading
	data  []byte
	slab  Slab
	place cursor
	i     int
}

func (j *jsonReader) space() {
	for j.i < len(j.data) && strings.IndexByte(" \t\r\n", j.data[j.i]) >= 0 {
		j.i++
	}
}

func (j *jsonReader) value() *Node {
	j.space()
	n := j.slab.New()
	n.Line, n.Col = j.place.at(j.i)
	switch c := j.data[j.i]; c {
	case '{':
		n.Kind = Map
		j.members(n, '}')
		j.r.duplicates(n)
	case '[':
		n.Kind = List
		j.members(n, ']')
	case '"':
		n.Kind, n.Text = String, j.string()
		j.r.noteDot(n.Text)
	default:
		start := j.i
		for j.i < len(j.data) && strings.IndexByte(",]} \t\r\n", j.data[j.i]) < 0 {
			j.i++
		}
		n.Text = string(j.data[start:j.i])
		switch {
		case c == 't' || c == 'f':
			n.Kind = Bool
		case c == 'n':
			n.Kind = Null
		case strings.ContainsAny(n.Text, ".eE"):
			n.Kind = Float
		default:
			n.Kind = Int
		}
	}
	return n
}

// members reads the entries of an object or the elements of an array.
func (j *jsonReader) members(n *Node, closing byte) {
	for j.i++; ; {
		j.space()
		switch j.data[j.i] {
		case closing:
			j.i++
			return
		case ',':
			j.i++
			continue
		}
		var k Kid
		if closing == '}' {
			k.Line, k.Col = j.place.at(j.i)
			k.Key = j.string()
			j.space()
			j.i++ // :
		}
		k.Node = j.value()
		n.Kids = append(n.Kids, k)
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
	raw := j.data[start:j.i]
	var s string
	if !escaped || json.Unmarshal(raw, &s) != nil {
		return string(raw[1 : len(raw)-1])
	}
	return s
}
