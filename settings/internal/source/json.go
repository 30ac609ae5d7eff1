package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
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
	j.tokens = jsontext.NewDecoder(bytes.NewBuffer(data),
		jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
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
	r      *Reading
	data   []byte
	tokens *jsontext.Decoder
	slab   Slab
	place  cursor
}

// token returns the next token and its place.
func (j *jsonReader) token() (tok jsontext.Token, line, col int32) {
	at := int(j.tokens.InputOffset())
	for strings.IndexByte(" \t\r\n,:", j.data[at]) >= 0 {
		at++
	}
	line, col = j.place.at(at)
	tok, _ = j.tokens.ReadToken() // the text is valid
	return tok, line, col
}

func (j *jsonReader) value() *Node {
	n := j.slab.New()
	var tok jsontext.Token
	tok, n.Line, n.Col = j.token()
	text := tok.String()
	switch kind := tok.Kind(); kind {
	case '{', '[':
		if n.Kind = List; kind == '{' {
			n.Kind = Map
		}
		for next := j.tokens.PeekKind(); next != '}' && next != ']'; next = j.tokens.PeekKind() {
			var k Kid
			if n.Kind == Map {
				tok, k.Line, k.Col = j.token()
				k.Key = tok.String()
			}
			k.Node = j.value()
			n.Kids = append(n.Kids, k)
		}
		_, _, _ = j.token() // its end
		if n.Kind == Map {
			j.r.duplicates(n)
		}
		return n
	case '"':
		n.Kind = String
		j.r.noteDot(text)
	case 't', 'f':
		n.Kind = Bool
	case '0':
		n.Kind = Int
		if strings.ContainsAny(text, ".eE") {
			n.Kind = Float
		}
	}
	n.Text = text
	return n
}
