package settings

import (
	"regexp"
	"strconv"
	"strings"
)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// yamlSyntax places the yaml parser's error.
func yamlSyntax(file string, data []byte, err error) *Error {
	e := &Error{Kind: KindSyntax, Pos: Position{File: file}}
	m := yamlLine.FindStringSubmatch(strings.ReplaceAll(err.Error(), "\n", " "))
	e.Problem = "not YAML from here on"
	if m != nil {
		e.Pos.Line, _ = strconv.Atoi(m[1])
		e.Problem = m[2]
	}
	return e
}
