package settings

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Kind says what is wrong with a setting.
type Kind uint8

const (
	KindSyntax    Kind = iota + 1 // a file that its parser cannot read
	KindSource                    // a source that cannot be read at all: a missing file or profile
	KindUnknown                   // a key or variable that no layout knows
	KindDuplicate                 // a key given twice in one source
	KindType                      // a value of another type than the layout's
	KindRule                      // a value that breaks a rule or a check
	KindRequired                  // a value that must be given and is not
	KindAlias                     // an alias that leads back to itself
	KindLayout                    // a mistake in the layout: a bad tag, an unsupported type
)

var kindNames = [...]string{"", "syntax", "source", "unknown", "duplicate", "type", "rule", "required", "alias",
	"layout"}

// String returns the kind's name, like "unknown".
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

// MarshalText returns the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Position is a place in a source. Line and Column begin at 1 and Column counts characters, not bytes; both are 0
// where a source has no lines (a variable, a flag) or the place is the whole file.
type Position struct {
	File    string `json:"file,omitempty"`    // as it was given, or an address of a [Store]; empty if neither
	Version string `json:"version,omitempty"` // of what a Store has at the address
	Name    string `json:"name,omitempty"`    // the variable or flag, or the place of the reference to a Store
	Line    int    `json:"line,omitempty"`    // from 1
	Column  int    `json:"column,omitempty"`  // from 1, in characters
}

// String is file:line:column, or "address version" of a store, or the name of the variable or flag, or "default".
func (p Position) String() string {
	if p.File == "" {
		if p.Name == "" {
			return "default"
		}
		return p.Name
	}
	s := p.File
	if p.Version != "" {
		s += " " + p.Version
	}
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
		if p.Column > 0 {
			s += ":" + strconv.Itoa(p.Column)
		}
	}
	if p.Name != "" {
		s += ": " + p.Name
	}
	return s
}

// Error is one mistake. A secret's value is in none of its fields.
type Error struct {
	Kind       Kind     `json:"kind"`
	Pos        Position `json:"position"`
	Path       string   `json:"path,omitempty"`       // dotted path of the setting
	Problem    string   `json:"problem"`              // what was expected and what was found
	Suggestion string   `json:"suggestion,omitempty"` // the nearest known key, variable or value
	Err        error    `json:"-"`                    // the cause, if it comes from another package
}

// Error is position: path: problem; did you mean suggestion?
func (e *Error) Error() string {
	var b strings.Builder
	if e.Pos != (Position{}) || e.Kind != KindLayout {
		b.WriteString(e.Pos.String())
		b.WriteString(": ")
	}
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.Problem)
	if e.Suggestion != "" {
		b.WriteString("; did you mean ")
		b.WriteString(e.Suggestion)
		b.WriteString("?")
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errors is every mistake of a load, in the order of the sources and of the lines in them. It is never empty.
type Errors []*Error

// Error returns one mistake a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap lets errors.Is and errors.As see each mistake.
func (es Errors) Unwrap() []error {
	out := make([]error, len(es))
	for i, e := range es {
		out[i] = e
	}
	return out
}

// Mistakes lists every [Error] that err holds, however deep it was wrapped.
func Mistakes(err error) []*Error {
	var es Errors
	if errors.As(err, &es) {
		return es
	}
	var e *Error
	if errors.As(err, &e) {
		return []*Error{e}
	}
	return nil
}

// join sorts, drops repeated mistakes (of a section reached by an alias and by its own path), and returns nil for
// no mistakes.
func join(es []*Error) error {
	if len(es) == 0 {
		return nil
	}
	out := slices.Clone(es)
	slices.SortStableFunc(out, func(a, b *Error) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column), cmp.Compare(a.Pos.Name, b.Pos.Name))
	})
	out = slices.CompactFunc(out, func(a, b *Error) bool {
		return a.Pos == b.Pos && a.Problem == b.Problem && a.Kind == b.Kind && (a.Path == b.Path || a.Pos.Line > 0)
	})
	return Errors(out)
}

// At places the error of a check at a setting: [Check] and a Validate method return it so that the message stands
// at the setting's line. A nil err gives nil.
func At(path string, err error) error {
	if err == nil {
		return nil
	}
	return &atError{path: path, err: err}
}

type atError struct {
	path string
	err  error
}

func (e *atError) Error() string { return e.path + ": " + e.err.Error() }
func (e *atError) Unwrap() error { return e.err }
