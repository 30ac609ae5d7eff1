package settings

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"unicode/utf8"
)

// DotEnv reads the variables of a .env file that begin with prefix and "_", as
// [Env] reads the environment's, and below them. A missing file is no error.
//
// A line is NAME=value, with "export " before it or not. In single quotes a
// value is taken as it is; in double quotes \n \r \t \" \\ and \$ are escapes;
// both may hold line breaks. An unquoted value ends at " #" or the line's end.
// Nothing is substituted: a $ is a $.
func DotEnv(prefix, path string) Source {
	return Source{rank: rankDotEnv, prefix: prefix, path: path, read: func(o *opening) []*node {
		data, err := slurp(nil, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			o.fail(&Error{Kind: KindSource, Pos: Position{File: path}, Problem: "cannot be read: " + cause(err), Err: err})
			return nil
		}
		return one(parseDotEnv(o, prefix, path, data))
	}}
}

func parseDotEnv(o *opening, prefix, path string, data []byte) *node {
	from := &origin{file: path, rank: rankDotEnv}
	data, ok := o.text(path, data)
	if !ok {
		return nil
	}
	d := &dotEnv{o: o, path: path, text: string(data), line: 1}
	var vars []variable
	seen := map[string]int{}
	for d.i < len(d.text) {
		v, ok := d.statement()
		if !ok {
			continue
		}
		if first, again := seen[v.name]; again {
			o.fail(&Error{Kind: KindDuplicate, Pos: Position{File: path, Line: v.line, Column: v.col}, Problem: "the variable " + v.name + " is given already on line " + itoa(first)})
			continue
		}
		seen[v.name] = v.line
		if slices.Contains(o.config.reserved, v.name) {
			if v.value != "" && o.config.lookupEnv(v.name) == "" {
				o.fail(&Error{Kind: KindSource, Pos: Position{File: path, Name: v.name, Line: v.line, Column: v.col}, Problem: "says which files are read, and is looked for in the environment only: set it there"})
			}
			continue
		}
		if prefixed(v.name, prefix) && strings.HasPrefix(v.name, prefix) {
			vars = append(vars, v)
		}
	}
	if len(vars) == 0 {
		return nil
	}
	return variables(o, from, prefix, vars)
}

type dotEnv struct {
	o         *opening
	path      string
	text      string
	i         int
	line      int
	lineStart int
}

func (d *dotEnv) column() int { return utf8.RuneCountInString(d.text[d.lineStart:d.i]) + 1 }

func (d *dotEnv) fail(problem string) {
	d.o.fail(&Error{Kind: KindSyntax, Pos: Position{File: d.path, Line: d.line, Column: d.column()}, Problem: problem})
}

func (d *dotEnv) blanks() {
	for d.i < len(d.text) && strings.IndexByte(" \t\r", d.text[d.i]) >= 0 {
		d.i++
	}
}

func (d *dotEnv) endLine() {
	for d.i < len(d.text) && d.text[d.i] != '\n' {
		d.i++
	}
	if d.i < len(d.text) {
		d.newline()
	}
}

func (d *dotEnv) newline() {
	d.i++
	d.line++
	d.lineStart = d.i
}

// statement reads one line; a line with a mistake is told and passed.
func (d *dotEnv) statement() (v variable, ok bool) {
	d.blanks()
	if d.i >= len(d.text) || d.text[d.i] == '#' || d.text[d.i] == '\n' {
		d.endLine()
		return v, false
	}
	if rest := d.text[d.i:]; strings.HasPrefix(rest, "export ") || strings.HasPrefix(rest, "export\t") {
		d.i += len("export")
		d.blanks()
	}
	v.line, v.col = d.line, d.column()
	start := d.i
	for d.i < len(d.text) && (isWord(rune(d.text[d.i])) && d.text[d.i] != '-' || d.text[d.i] == '.') {
		d.i++
	}
	v.name = d.text[start:d.i]
	d.blanks()
	if v.name == "" || d.i >= len(d.text) || d.text[d.i] != '=' {
		if v.name == "" {
			d.fail("expected a variable's name (letters, digits and _)")
		} else {
			d.fail("expected = after the variable's name")
		}
		d.endLine()
		return v, false
	}
	d.i++
	d.blanks()
	v.valueLine, v.valueCol = d.line, d.column()
	if d.i < len(d.text) && (d.text[d.i] == '"' || d.text[d.i] == '\'') {
		if v.value, ok = d.quoted(); !ok {
			return v, false
		}
		d.blanks()
		if d.i < len(d.text) && d.text[d.i] != '\n' && d.text[d.i] != '#' {
			d.fail("expected the end of the line after the closing quote")
			d.endLine()
			return v, false
		}
		d.endLine()
		return v, true
	}
	start = d.i
	end := strings.IndexByte(d.text[start:], '\n')
	if end < 0 {
		end = len(d.text) - start
	}
	value := d.text[start : start+end]
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	v.value = strings.Trim(value, " \t\r")
	d.endLine()
	return v, true
}

// quoted reads a value in quotes. One that is never closed is told at its
// opening quote, and its first line alone is given up.
func (d *dotEnv) quoted() (string, bool) {
	q := d.text[d.i]
	open := *d
	var b strings.Builder
	for d.i++; d.i < len(d.text); {
		switch c := d.text[d.i]; {
		case c == q:
			d.i++
			return b.String(), true
		case c == '\\' && q == '"' && d.i+1 < len(d.text):
			d.i++
			switch e := d.text[d.i]; e {
			case 'n':
				b.WriteByte('\n')
			case 'r':
				b.WriteByte('\r')
			case 't':
				b.WriteByte('\t')
			case '"', '\\', '$':
				b.WriteByte(e)
			default:
				b.WriteByte('\\')
				continue
			}
			d.i++
		case c == '\n':
			b.WriteByte(c)
			d.newline()
		default:
			b.WriteByte(c)
			d.i++
		}
	}
	*d = open
	d.fail("the quote is never closed")
	d.endLine()
	return "", false
}
