package source

import (
	"strconv"
	"strings"
)

// Variable is a line of a .env file, or a variable of the environment, which has no places.
type Variable struct {
	Name, Value         string
	Line, Col           int // of the name
	ValueLine, ValueCol int
}

// Variables reads the lines of a .env file. A line with a mistake is reported and left out.
func (r *Reading) Variables(data []byte) []Variable {
	data, ok := r.Text(data)
	if !ok {
		return nil
	}
	d := &dotEnv{r: r, text: string(data), place: cursor{data: data}}
	var vars []Variable
	seen := map[string]int{}
	for d.i < len(d.text) {
		v, ok := d.statement()
		if !ok {
			continue
		}
		if first, again := seen[v.Name]; again {
			r.fail(Duplicate, v.Line, v.Col, "the variable "+v.Name+" is given already on line "+strconv.Itoa(first))
			continue
		}
		seen[v.Name] = v.Line
		vars = append(vars, v)
	}
	return vars
}

type dotEnv struct {
	r     *Reading
	text  string
	place cursor
	i     int
}

func (d *dotEnv) at() (line, col int) {
	l, c := d.place.at(d.i)
	return int(l), int(c)
}

// fail reports a mistake here, passes the line and returns false.
func (d *dotEnv) fail(problem string) bool {
	line, col := d.at()
	d.r.fail(Syntax, line, col, problem)
	d.endLine()
	return false
}

func (d *dotEnv) blanks() {
	for d.i < len(d.text) && strings.IndexByte(" \t\r", d.text[d.i]) >= 0 {
		d.i++
	}
}

func (d *dotEnv) endLine() {
	if end := strings.IndexByte(d.text[d.i:], '\n'); end >= 0 {
		d.i += end + 1
	} else {
		d.i = len(d.text)
	}
}

// statement reads one line; a line with a mistake is reported and passed.
func (d *dotEnv) statement() (v Variable, ok bool) {
	d.blanks()
	if d.i >= len(d.text) || d.text[d.i] == '#' || d.text[d.i] == '\n' {
		d.endLine()
		return v, false
	}
	if rest := d.text[d.i:]; strings.HasPrefix(rest, "export ") || strings.HasPrefix(rest, "export\t") {
		d.i += len("export")
		d.blanks()
	}
	v.Line, v.Col = d.at()
	start := d.i
	for d.i < len(d.text) && (isWord(rune(d.text[d.i])) && d.text[d.i] != '-' || d.text[d.i] == '.') {
		d.i++
	}
	v.Name = d.text[start:d.i]
	d.blanks()
	switch {
	case v.Name == "":
		return v, d.fail("expected a variable's name (letters, digits and _)")
	case d.i >= len(d.text) || d.text[d.i] != '=':
		return v, d.fail("expected = after the variable's name")
	}
	d.i++
	d.blanks()
	v.ValueLine, v.ValueCol = d.at()
	if d.i < len(d.text) && (d.text[d.i] == '"' || d.text[d.i] == '\'') {
		if v.Value, ok = d.quoted(); !ok {
			return v, false
		}
		d.blanks()
		if d.i < len(d.text) && d.text[d.i] != '\n' && d.text[d.i] != '#' {
			return v, d.fail("expected the end of the line after the closing quote")
		}
		d.endLine()
		return v, true
	}
	value, _, _ := strings.Cut(d.text[d.i:], "\n")
	for i := range len(value) {
		if value[i] == '#' && (i == 0 || value[i-1] == ' ' || value[i-1] == '\t') {
			value = value[:i]
			break
		}
	}
	v.Value = strings.Trim(value, " \t\r")
	d.endLine()
	return v, true
}

// quoted reads a value in quotes. One that is never closed is reported at its opening quote, and its first line alone
// is given up.
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
			if e := strings.IndexByte(`nrt"\$`, d.text[d.i]); e >= 0 {
				b.WriteByte("\n\r\t\"\\$"[e])
				d.i++
			} else {
				b.WriteByte('\\')
			}
		default:
			b.WriteByte(c)
			d.i++
		}
	}
	*d = open
	return "", d.fail("the quote is never closed")
}
