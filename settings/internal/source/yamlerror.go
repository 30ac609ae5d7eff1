package source

import (
	"regexp"
	"sort"
	"strconv"
	"strings"
)

// The yaml parser names a line for some errors, often that of the section around them, and never a column. The
// place is found by parsing shorter and shorter beginnings of the file: the mistake is where the error first
// appears. This is done only for a file that is wrong.

var (
	yamlLine   = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	quotedName = regexp.MustCompile(`'[^']*' (referenced|value)`)
)

// maxPlaced bounds the bytes that are parsed again to find the place of one mistake, to some tenths of a second.
// Past it, and so in a large file, the parser's own line has to do.
const maxPlaced = 1 << 20

func (r *Reading) failYAML(data []byte, err error) {
	msg, line := splitYAML(err.Error())
	p := &yamlPlacer{text: string(data), msg: msg, left: maxPlaced}
	if at, problem := p.place(); at >= 0 && p.left >= 0 {
		r.failAt(data, at, problem)
		return
	}
	r.fail(Syntax, line, 0, yamlProblem(msg, 0))
}

// splitYAML takes the line, and names that the file gave, out of a message.
func splitYAML(text string) (string, int) {
	m := yamlLine.FindStringSubmatch(strings.ReplaceAll(text, "\n", " "))
	if m == nil {
		return text, 0
	}
	line, _ := strconv.Atoi(m[1]) // no line is line 0
	return quotedName.ReplaceAllString(m[2], "$1"), line
}

type yamlPlacer struct {
	text, msg string
	left      int // bytes that may still be parsed
}

// place returns the offset of the mistake and what it is, or -1.
func (p *yamlPlacer) place() (int, string) {
	whole := scanYAML(p.text)
	if whole.quote >= 0 {
		return whole.quote, "the quote is never closed"
	}
	end := p.first()
	if end < 0 {
		if n := len(whole.open); n > 0 {
			return whole.open[n-1].at, "the " + whole.open[n-1].text + " is never closed"
		}
		return -1, ""
	}
	here := scanYAML(p.text[:end])
	if n := len(here.open); n > 0 && !whole.closed[here.open[0].at] {
		return here.open[n-1].at, "the " + here.open[n-1].text + " is never closed"
	}
	at := end - 1
	switch {
	case strings.Contains(p.msg, "anchor"), strings.HasPrefix(p.msg, "did not find expected"):
		at = max(here.token, 0)
	case strings.Contains(p.msg, "escape"):
		at = max(strings.LastIndexByte(p.text[:end], '\\'), 0)
	}
	for at < len(p.text)-1 && (p.text[at] == ' ' || p.text[at] == '\n' || p.text[at] == '\r') {
		at++
	}
	return at, yamlProblem(p.msg, p.text[at])
}

// first is the length of the shortest beginning that has the complaint, and from which on all have it; -1 if even
// the whole has it only because it ends.
func (p *yamlPlacer) first() int {
	if len(p.text) == 0 || !p.complains(len(p.text)) {
		return -1
	}
	var ends []int // of the lines
	for i := range len(p.text) {
		if p.text[i] == '\n' || i+1 == len(p.text) {
			ends = append(ends, i+1)
		}
	}
	line, start := p.search(ends), 0
	if line > 0 {
		start = ends[line-1]
	}
	var chars []int
	for i := start; i < ends[line]; i++ {
		if i+1 == len(p.text) || p.text[i+1]&0xc0 != 0x80 {
			chars = append(chars, i+1)
		}
	}
	return chars[p.search(chars)]
}

// search returns the index of the first length from which on all complain. The last is known to. It goes one by one
// where that is cheap, for a cut may make complaints of its own.
func (p *yamlPlacer) search(lengths []int) int {
	if len(lengths)*len(p.text) > 1<<17 {
		return min(sort.Search(len(lengths), func(i int) bool { return p.complains(lengths[i]) }), len(lengths)-1)
	}
	i := len(lengths) - 1
	for i > 0 && p.complains(lengths[i-1]) {
		i--
	}
	return i
}

// complains reports whether the beginning of that length, with its brackets closed, has the same error as the
// whole.
func (p *yamlPlacer) complains(length int) bool {
	head := p.text[:length]
	if p.left -= length + 64; p.left < 0 {
		return false
	}
	s := scanYAML(head)
	closed := []byte(head)
	if s.quote < 0 {
		for i := len(s.open) - 1; i >= 0; i-- {
			closed = append(closed, s.open[i].text[0]+2) // ] is two after [, } two after {
		}
	}
	msg, _ := splitYAML(yamlMessage(closed))
	return msg == p.msg
}

// yamlScan is how far brackets and quotes are open at the end of a text.
type yamlScan struct {
	open   []yamlOpen
	closed map[int]bool // openers that were closed again
	quote  int          // of an open string, or -1
	token  int          // where the last token began
}

type yamlOpen struct {
	text string
	at   int
}

var blockScalar = regexp.MustCompile(`(^|[:\-?] +|^- )([&!][^ ]* +)*[|>][-+0-9]*[ \t]*(#.*)?$`)

func scanYAML(text string) *yamlScan {
	s := &yamlScan{quote: -1, token: -1, closed: map[int]bool{}}
	start := true // of a token
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\n':
			start = true
			if len(s.open) == 0 {
				i = skipBlock(text, i)
			}
		case c == ' ' || c == '\t' || c == '\r':
			start = start || i > 0 && strings.IndexByte(":-?,", text[i-1]) >= 0
		case c == '#' && (i == 0 || strings.IndexByte(" \t\r\n", text[i-1]) >= 0):
			for i+1 < len(text) && text[i+1] != '\n' {
				i++
			}
		case (c == '"' || c == '\'') && start:
			s.token = i
			end := endOfQuote(text, i)
			if end < 0 {
				s.quote = i
				return s
			}
			i = end
			start = true // a new token begins after a string
		case (c == '[' || c == '{') && (start || len(s.open) > 0):
			s.token = i
			s.open = append(s.open, yamlOpen{text[i : i+1], i})
			start = true
		case (c == ']' || c == '}') && len(s.open) > 0:
			s.token = i
			s.closed[s.open[len(s.open)-1].at] = true
			s.open = s.open[:len(s.open)-1]
			start = true
		case c == ',' && len(s.open) > 0:
			s.token = i
			start = true
		default:
			if start {
				s.token = i
			}
			start = false
		}
	}
	return s
}

// skipBlock passes the lines of a block scalar (|, >) that the line ending at i opens.
func skipBlock(text string, i int) int {
	begin := strings.LastIndexByte(text[:i], '\n') + 1
	line := strings.TrimRight(text[begin:i], "\r")
	if !blockScalar.MatchString(line) {
		return i
	}
	indent := len(line) - len(strings.TrimLeft(line, " "))
	for i+1 < len(text) {
		next := text[i+1:]
		if end := strings.IndexByte(next, '\n'); end >= 0 {
			next = next[:end]
		}
		trimmed := strings.TrimLeft(next, " ")
		if strings.TrimSpace(trimmed) != "" && len(next)-len(trimmed) <= indent {
			return i
		}
		i += 1 + len(next)
	}
	return i
}

func endOfQuote(text string, i int) int {
	q := text[i]
	for i++; i < len(text); i++ {
		switch {
		case text[i] == '\\' && q == '"':
			i++
		case text[i] == q && q == '\'' && i+1 < len(text) && text[i+1] == q:
			i++
		case text[i] == q:
			return i
		}
	}
	return -1
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
