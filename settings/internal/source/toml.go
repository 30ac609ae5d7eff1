package source

import (
	"bytes"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

// maxNesting bounds brackets within brackets, and the names of a dotted key: the toml parser calls itself for
// each, and a Go stack that overflows cannot be recovered from.
const maxNesting = 1000

// TOML takes the values from the toml package and the places from a scan of its own, for the package does not
// give them.
func (r *Reading) TOML(data []byte) *Node {
	scan := scanTOML(r.From, data)
	if scan.tooDeep {
		line, _ := scan.place.at(scan.i)
		r.fail(Syntax, int(line), 1, "sections or lists are nested more than "+strconv.Itoa(maxNesting)+" deep")
		return nil
	}
	var top any // the parsed maps themselves, without the decoder's copy
	_, err := toml.NewDecoder(bytes.NewReader(data)).Decode(&top)
	if err != nil && len(scan.doubles) > 0 {
		// The parser stops at the first doubled key. All are reported here, and the rest of the file is read
		// without them.
		blank := slices.Clone(data)
		for _, d := range scan.doubles {
			r.failDuplicate(d.again, d.first)
			for i := commaBefore(data, d.start); i < d.end; i++ {
				if blank[i] != '\n' {
					blank[i] = ' '
				}
			}
		}
		_, err = toml.NewDecoder(bytes.NewReader(blank)).Decode(&top)
	}
	if err != nil {
		r.failTOML(data, err)
		return nil
	}
	r.fill(scan, scan.root, top)
	return scan.root
}

func (r *Reading) failTOML(data []byte, err error) {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		r.fail(Syntax, 0, 0, "not TOML from here on")
		return
	}
	start, line := pe.Position.Start, pe.Position.Line
	if strings.Contains(pe.Message, "to end table name") && start <= len(data) {
		// The parser passes the line break before it sees that ] is missing.
		start = len(bytes.TrimRight(data[:start], " \t\r\n"))
		line, _ = lineColumn(data, start)
	}
	for start < len(data) && (data[start] == ' ' || data[start] == '\t') {
		start++
	}
	l, c := lineColumn(data, start)
	if line > 0 && l != line {
		l, c = line, 1 // some of the parser's errors have no offset
	}
	r.fail(Syntax, l, c, tomlProblem(pe.Message))
}

// commaBefore goes back over the comma of an inline table's entry, for an entry that is left out must not leave
// it behind.
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

// fill returns the scanned places the parsed values. The parser's word is what counts: a place without a value is
// dropped, a value without a place is kept without one.
func (r *Reading) fill(s *tomlScan, n *Node, value any) {
	n.Kids = slices.DeleteFunc(n.Kids, func(k Kid) bool { return k.Node == nil })
	switch v := value.(type) {
	case map[string]any:
		n.Kind = Map
		kids := n.Kids[:0]
		for _, k := range n.Kids {
			if inner, ok := v[k.Key]; ok {
				r.fill(s, k.Node, inner)
				kids = append(kids, k)
			}
		}
		n.Kids = kids
		if len(kids) < len(v) {
			var find Finder
			for key, inner := range v {
				if find.Get(n, key) == nil {
					c := s.slab.New()
					r.fill(s, c, inner)
					n.Kids = append(n.Kids, Kid{Key: key, Node: c})
				}
			}
		}
	case []map[string]any:
		r.fillList(s, n, len(v), func(i int) any { return v[i] })
	case []any:
		r.fillList(s, n, len(v), func(i int) any { return v[i] })
	case string:
		n.Kind, n.Text = String, v
		r.noteDot(v)
	case bool:
		n.Kind, n.Text = Bool, strconv.FormatBool(v)
	case int64:
		n.Kind, n.Text = Int, strconv.FormatInt(v, 10)
	case float64:
		n.Kind, n.Text = Float, strconv.FormatFloat(v, 'g', -1, 64)
	case time.Time:
		n.Kind, n.Text = Time, tomlTime(v)
	}
}

func (r *Reading) fillList(s *tomlScan, n *Node, length int, at func(int) any) {
	n.Kind = List
	for len(n.Kids) < length {
		n.Kids = append(n.Kids, Kid{Node: s.slab.New()})
	}
	n.Kids = n.Kids[:length]
	for i := range n.Kids {
		r.fill(s, n.Kids[i].Node, at(i))
	}
}

// tomlTime writes a time as toml does; the parser marks the kinds without a zone by the name of the time's
// location.
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

// tomlProblem returns the parser's message without what it quotes of the file: that may be a secret without quotes.
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
