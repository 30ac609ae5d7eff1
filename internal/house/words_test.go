package house

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// denied are words for which plain English has a plainer one. "so that" is fine;
// "so small that" is not.
var denied = regexp.MustCompile(`(?i)\b(tells?|told|telling|whoever|somebody|nobody|is\s+none|none\s+but|of\s+which|` +
	`whose|such|anew|beside|amiss|mend(s|ed|ing)?|so\s+(much|many|few|little|long|large|big|small|often|fast|slow|bad|good|near|far|late|early|short)` +
	`(\s+\w+)?\s+that)\b`)

// deniedInTests are those that a comment in a test must not have either.
var deniedInTests = regexp.MustCompile(`(?i)\b(told|whoever|somebody|is\s+none|none\s+but|anew|amiss|mend(s|ed|ing)?)\b`)

// deniedNames are pictures where a noun of the field says what is meant.
var deniedNames = regexp.MustCompile(`(?i)^(wary|strangers?|aloft|lent|together|told|whoever|anew|amiss)$`)

// TestWords finds words of the deny list in comments, string literals, pages and
// documents.
func TestWords(t *testing.T) {
	eachRoom(t, func(t *testing.T, file string) []finding {
		text := read(t, file)
		switch ext := path.Ext(file); {
		case ext == ".go":
			return wordsOfGo(t, file, text)
		case ext == ".md":
			return wordsOf(withoutCode(text), 1, denied)
		case slices.Contains([]string{".js", ".html", ".css", ".tmpl", ".yaml", ".yml", ".sh", ".mjs", ".py", ".toml"}, ext),
			strings.HasPrefix(file, ".ci/"), path.Base(file) == "Makefile", path.Base(file) == "Dockerfile":
			return wordsOf(text, 1, denied)
		}
		return nil
	})
}

// TestNames finds identifiers that are pictures.
func TestNames(t *testing.T) {
	eachRoom(t, func(t *testing.T, file string) []finding {
		if path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		var found []finding
		parsed, set := parse(t, file, read(t, file))
		for n := range ast.Preorder(parsed) {
			if id, ok := n.(*ast.Ident); ok && deniedNames.MatchString(id.Name) {
				found = append(found, finding{set.Position(id.Pos()).Line, id.Name, "the name " + id.Name})
			}
		}
		return found
	})
}

// finding is a place in a file that breaks a rule.
type finding struct {
	line int
	what string
	text string // the line, which an exception names a part of
}

// eachRoom runs find over the files of each room, in a subtest named for the room.
func eachRoom(t *testing.T, find func(*testing.T, string) []finding) {
	all := rooms(t)
	if len(all) < 20 {
		t.Fatalf("only %d rooms found: this test no longer sees the code", len(all))
	}
	for room, files := range all {
		t.Run(room, func(t *testing.T) {
			may := exceptions(t, room)
			for _, file := range files {
				for _, f := range find(t, file) {
					if !excepted(may, file, f.text) {
						t.Errorf("%s:%d: %q in: %s", file, f.line, f.what, strings.TrimSpace(f.text))
					}
				}
			}
			if t.Name() == "TestWords/"+room {
				for _, e := range may {
					if !e.used {
						t.Errorf("the exception for %q in %s is not needed", e.part, e.file)
					}
				}
			}
		})
	}
}

// parse parses a file with its comments.
func parse(t *testing.T, file, text string) (*ast.File, *token.FileSet) {
	t.Helper()
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	return parsed, set
}

// wordsOfGo finds denied words in the comments and, outside of tests, in the
// string literals of a Go file. Import paths and struct tags are left out.
func wordsOfGo(t *testing.T, file, text string) []finding {
	parsed, set := parse(t, file, text)
	pattern := denied
	isTest := strings.HasSuffix(file, "_test.go")
	if isTest {
		pattern = deniedInTests
	}
	var found []finding
	for _, group := range parsed.Comments {
		found = append(found, wordsOf(commentText(group), set.Position(group.Pos()).Line, pattern)...)
	}
	if isTest {
		return found
	}
	tags := map[*ast.BasicLit]bool{}
	for n := range ast.Preorder(parsed) {
		switch n := n.(type) {
		case *ast.ImportSpec:
			tags[n.Path] = true
		case *ast.Field:
			tags[n.Tag] = true
		case *ast.BasicLit:
			if n.Kind == token.STRING && !tags[n] {
				found = append(found, wordsOf(n.Value, set.Position(n.Pos()).Line, pattern)...)
			}
		}
	}
	return found
}

// commentText returns the lines of a comment group without their marks; line
// breaks stay where they are.
func commentText(group *ast.CommentGroup) string {
	var lines []string
	for _, c := range group.List {
		lines = append(lines, strings.TrimPrefix(c.Text, "//"))
	}
	return strings.Join(lines, "\n")
}

// wordsOf finds what matches the pattern in a text that begins at a line.
func wordsOf(text string, first int, pattern *regexp.Regexp) []finding {
	var found []finding
	for _, at := range pattern.FindAllStringIndex(text, -1) {
		line := strings.Count(text[:at[0]], "\n")
		begin := strings.LastIndexByte(text[:at[0]], '\n') + 1
		end := len(text)
		if i := strings.IndexByte(text[at[1]:], '\n'); i >= 0 {
			end = at[1] + i
		}
		found = append(found, finding{first + line, text[at[0]:at[1]], text[begin:end]})
	}
	return found
}

// code matches what a document quotes: fenced blocks and spans of code.
var code = regexp.MustCompile("(?ms)^ *```.*?^ *```|`[^`\n]*`")

// withoutCode blanks the code in a document and keeps its lines.
func withoutCode(text string) string {
	return code.ReplaceAllStringFunc(text, func(s string) string { return strings.Repeat("\n", strings.Count(s, "\n")) })
}

// The tests above see what they are meant to see.
func TestFindings(t *testing.T) {
	const src = "package p\n\n// Whoever calls it is none\n// of\n// which I know.\nfunc f() { print(\"they told me\") } // so that, not so bad that\n"
	got := fmt.Sprint(wordsOfGo(t, "p.go", src))
	for _, want := range []string{"{3 Whoever", "{3 is none", "{4 of\n which", "{6 told", "{6 so bad that"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is not among the findings %s", want, got)
		}
	}
	if got := wordsOf(withoutCode("a `told` b\n```\ntold\n```\ntold"), 1, denied); len(got) != 1 || got[0].line != 5 {
		t.Errorf("in a document: %v", got)
	}
}
