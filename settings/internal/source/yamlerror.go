package source

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// failYAML reports the parser's complaint where it stands, or at the quote or bracket that is never closed.
func (r *Reading) failYAML(data []byte, err error) {
	var e *yaml.LoadError
	if !errors.As(err, &e) {
		r.fail(Syntax, 0, 0, yamlProblem(err.Error(), 0))
		return
	}
	at := offset(data, e.Mark)
	problem := yamlProblem(e.Message, append(data[at:len(data):len(data)], 0)[0])
	opener := offset(data, e.ContextMark)
	open, _ := brackets(data[:at])
	_, closed := brackets(data[at:])
	switch quoted := strings.HasSuffix(e.ContextMsg, "quoted scalar"); {
	case strings.Contains(e.ContextMsg, " flow ") && !closed && len(open) > 0:
		if opener >= at || data[opener] != '[' && data[opener] != '{' {
			opener = open[len(open)-1]
		}
		at, problem = opener, "the "+string(data[opener])+" is never closed"
	case quoted && strings.HasPrefix(e.Message, "found unexpected"):
		at, problem = opener, "the quote is never closed"
	case strings.Contains(e.Message, "could not find expected ':'"), strings.HasSuffix(e.ContextMsg, "block scalar"):
		at = opener
	}
	r.failAt(data, at, problem)
}

// offset returns the bytes before a place.
func offset(data []byte, at yaml.Mark) int {
	rest := data
	for range at.Line - 1 {
		_, rest, _ = bytes.Cut(rest, []byte("\n"))
	}
	for range at.Column - 1 {
		_, size := utf8.DecodeRune(rest)
		rest = rest[size:]
	}
	return len(data) - len(rest)
}

// brackets returns where the brackets are that a text leaves open, and whether it closes one that it does not open.
func brackets(text []byte) (open []int, closes bool) {
	for i, c := range text {
		switch {
		case c == '[' || c == '{':
			open = append(open, i)
		case (c == ']' || c == '}') && len(open) > 0:
			open = open[:len(open)-1]
		case c == ']' || c == '}':
			closes = true
		}
	}
	return open, closes
}

// yamlProblems are the parser's messages, each by a part of it, and what to do instead. The first that fits counts.
var yamlProblems = []struct{ part, problem string }{
	{"did not find expected key", "expected a key here: is the line indented as its neighbours are, or is something left over after a value?"},
	{"mapping values are not allowed", "a key cannot stand here: is the line indented too far, or does the value hold a colon and need quotes?"},
	{"could not find expected ':'", "expected a : after this key"},
	{"tab character", tabIndents},
	{"did not find expected '-'", "expected - and an element, as in the list above, or less indentation"},
	{"block sequence entries", "an element (- ...) cannot stand here: the list goes below its key, on lines of its own"},
	{"did not find expected ',' or ']'", "expected , or ] in the list"},
	{"did not find expected ',' or '}'", "expected , or } in the section"},
	{"did not find expected node content", "expected a value"},
	{"exceeded max depth", "sections or lists are nested more than 10000 deep"},
	{"anchor", "there is no anchor of that name above: a value that begins with * stands in quotes"},
	{"found unknown escape", `unknown escape: in double quotes a backslash is written \\, or use single quotes`},
	{"control characters", "a control character cannot stand here"},
	{"did not find expected alphabetic", "expected a name after & or *: a value that begins with one of them stands in quotes"},
	{"did not find expected comment or line break", "expected the end of the line after | or >: a value that begins with one of them stands in quotes"},
	{"tag", "the tag is not known: a value that begins with ! stands in quotes"},
	{"directive", strayDirective},
	{"<document start>", strayDirective},
}

const (
	tabIndents     = "a tab cannot indent in yaml: use blanks"
	strayDirective = "expected a key: a line that begins with % is a directive, and --- or ... ends a document"
)

// yamlProblem rewrites the parser's message: what was expected, and what to do. c is the character at the place.
func yamlProblem(msg string, c byte) string {
	if c == '\t' {
		return tabIndents
	}
	if strings.HasPrefix(msg, "found character that cannot start") {
		return "a value cannot begin with " + string(c) + ": put it in quotes"
	}
	for _, p := range yamlProblems {
		if strings.Contains(msg, p.part) {
			return p.problem
		}
	}
	return tomlProblem(msg)
}
