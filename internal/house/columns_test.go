package house

import (
	"go/ast"
	"go/token"
	"path"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	columns  = 120 // lines are shorter than this
	tabWidth = 4
)

// testsOnly are folders of code that only tests and measurements run.
var testsOnly = []string{"bench/", "systemtest/"}

// TestColumns finds lines of production code that are too long to be taken in at
// once. Code that only tests and measurements
// run is left out. A line that is one row of a table may be longer: an element of a composite
// literal that has at least three such rows, one of at least three values declared
// together, a setting with its doc tag, a line of a drawing in a comment, and a line
// of a raw string.
func TestColumns(t *testing.T) {
	eachRoom(t, func(t *testing.T, file string) []finding {
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		for _, tests := range testsOnly {
			if strings.HasPrefix(file, tests) {
				return nil
			}
		}
		return longLines(t, file, read(t, file))
	})
}

// longLines finds the lines of a Go file that are too long and are no rows.
func longLines(t *testing.T, file, text string) []finding {
	var found []finding
	var table map[int]bool
	for i, line := range strings.Split(text, "\n") {
		width := utf8.RuneCountInString(line) + strings.Count(line, "\t")*(tabWidth-1)
		if width < columns || strings.HasPrefix(line, "//\t") || strings.HasPrefix(line, "//go:") {
			continue
		}
		if table == nil {
			table = tableLines(t, file, text)
		}
		if !table[i+1] {
			found = append(found, finding{i + 1, "too long", line})
		}
	}
	return found
}

// tableLines returns the lines of a file that are rows of a table.
func tableLines(t *testing.T, file, text string) map[int]bool {
	parsed, set := parse(t, file, text)
	line := func(p token.Pos) int { return set.Position(p).Line }
	rows := map[int]bool{}
	for n := range ast.Preorder(parsed) {
		var own []int
		add := func(n, within ast.Node) {
			if l := line(n.Pos()); l == line(n.End()) && l != line(within.Pos()) {
				own = append(own, l)
			}
		}
		switch n := n.(type) {
		case *ast.CompositeLit:
			for _, e := range n.Elts {
				add(e, n)
			}
		case *ast.GenDecl:
			for _, s := range n.Specs {
				if v, ok := s.(*ast.ValueSpec); ok && len(v.Values) == 1 {
					add(v, n)
				}
			}
		case *ast.Field:
			if n.Tag != nil && strings.Contains(n.Tag.Value, `doc:"`) {
				rows[line(n.Tag.Pos())] = true
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING && strings.Contains(n.Value, "\n") {
				for l := line(n.Pos()); l <= line(n.End()); l++ {
					rows[l] = true
				}
			}
		}
		if len(own) >= 3 {
			for _, l := range own {
				rows[l] = true
			}
		}
	}
	return rows
}
