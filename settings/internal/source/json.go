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
	case strings.Contains(msg, "in string literal"):
		return "a string cannot hold a line break or control character: write \\n"
	case strings.Contains(msg, "in string escape code"):
		return `expected one of \" \\ \/ \b \f \n \r \t \u after the backslash`
	}
	for _, p := range jsonProblems {
		if strings.Contains(msg, p.part) {
			return "expected " + p.expected + ", found " + found + jsonHints[p.part+found]
		}
	}
	return "not JSON from here on"
}

// jsonProblems are the decoder's messages, each by a part of it, and what it expected. The first that fits counts.
var jsonProblems = []struct{ part, expected string }{
	{"beginning of object key", "a key in double quotes"},
	{"after object key:value pair", ", or } after the value"},
	{"after object key", ": after the key"},
	{"after array element", ", or ] after the element"},
	{"after top-level value", "the end of the file"},
	{"beginning of value", "a value"},
}

// jsonHints are what to do, by the message and what was found.
var jsonHints = map[string]string{
	"beginning of object key}": ": the comma before it is one too many",
	"beginning of value]":      ": the comma before it is one too many",
	"beginning of value'":      ": strings are in double quotes",
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
	if escaped {
		var s string
		if json.Unmarshal(j.data[start:j.i], &s) == nil {
			return s
		}
	}
	return string(j.data[start+1 : j.i-1])
}
