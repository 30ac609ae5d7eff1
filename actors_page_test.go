package chassis_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/doc/comment"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var updatePage = flag.Bool("update-actors-page", false, "write the tables of docs/actors.md")

// protocols are the actor packages with a table on docs/actors.md.
var protocols = []string{"breaker", "dispatcher", "poller", "shares", "logger", "lifecycle"}

const actorsPage = "docs/actors.md"

// TestTheProtocolsOnThePageAreThoseOfTheCode holds the tables of docs/actors.md
// against the messages that the actors' type switches take, and their comments.
//
//	go test -run ProtocolsOnThePage -update-actors-page .
func TestTheProtocolsOnThePageAreThoseOfTheCode(t *testing.T) {
	text, err := os.ReadFile(actorsPage)
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, name := range protocols {
		begin, end := fmt.Sprintf("<!-- protocol %s -->\n", name), fmt.Sprintf("<!-- end %s -->", name)
		from, to := strings.Index(page, begin), strings.Index(page, end)
		if from < 0 || to < from {
			t.Errorf("%s has no table of package %s: put %q and %q into it", actorsPage, name, begin, end)
			continue
		}
		from += len(begin)
		want := protocolOf(t, name)
		if strings.Count(want, "\n") < 4 {
			t.Fatalf("package %s has no messages: this test no longer sees the code", name)
		}
		if page[from:to] != want && !*updatePage {
			t.Errorf("%s: the table of package %s is not that of the code; run go test -run ProtocolsOnThePage -update-actors-page . It would be:\n%s", actorsPage, name, want)
		}
		page = page[:from] + want + page[to:]
	}
	if *updatePage {
		if err := os.WriteFile(actorsPage, []byte(page), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// protocolOf returns the table of a package: what its actors take, with the
// answer that the comment names, and what else they send.
func protocolOf(t *testing.T, name string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("actors", name, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	docs, taken, listed := map[string]string{}, map[string]bool{}, map[string]bool{}
	var order []string
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		messages := slices.Contains([]string{"messages.go", "events.go"}, filepath.Base(file))
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl: // the list of what an actor takes, in some packages
				if n.Recv == nil && (n.Name.Name == "pointer" || n.Name.Name == "byPointer") {
					ast.Inspect(n, func(n ast.Node) bool {
						if c, ok := n.(*ast.CaseClause); ok && len(c.List) == 1 {
							listed[fmt.Sprint(c.List[0])] = true
						}
						return true
					})
				}
			case *ast.CaseClause:
				for _, e := range n.List {
					if star, ok := e.(*ast.StarExpr); ok {
						e = star.X
					}
					if id, ok := e.(*ast.Ident); ok {
						taken[id.Name] = true
					}
				}
			case *ast.GenDecl:
				for _, spec := range n.Specs {
					s, ok := spec.(*ast.TypeSpec)
					if !ok || !messages || !s.Name.IsExported() {
						continue
					}
					if _, ok := s.Type.(*ast.StructType); !ok {
						continue
					}
					text := s.Doc.Text()
					if text == "" && !n.Lparen.IsValid() {
						text = n.Doc.Text()
					}
					docs[s.Name.Name] = text
					order = append(order, s.Name.Name)
				}
			}
			return true
		})
	}
	if len(listed) > 0 {
		taken = listed
	}
	var b strings.Builder
	b.WriteString("\n| takes | what it does | answers the sender with |\n|---|---|---|\n")
	var sends []string
	for _, m := range order {
		if !taken[m] {
			sends = append(sends, m)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", m, firstSentence(m, docs[m]), answerOf(docs[m]))
	}
	if len(sends) > 0 {
		b.WriteString("\n| answers, events and their parts | what it is |\n|---|---|\n")
		for _, m := range sends {
			fmt.Fprintf(&b, "| `%s` | %s |\n", m, firstSentence(m, docs[m]))
		}
	}
	b.WriteString("\n")
	return b.String()
}

var answers = regexp.MustCompile(`(?:Answers?[^:\[]*: |answered (?:with )?|[Rr]eply is |answer is |asks? for |gets )\[\*?([A-Z]\w*)\]`)

// answerOf is the answer that a message's comment names.
func answerOf(doc string) string {
	if m := answers.FindStringSubmatch(strings.Join(strings.Fields(doc), " ")); m != nil {
		return "`" + m[1] + "`"
	}
	return "nothing"
}

var links = regexp.MustCompile(`\[\*?([\w.]+)\]`)

// firstSentence is that of a comment, for a cell of a table.
func firstSentence(name, doc string) string {
	var p comment.Parser
	first := p.Parse(doc)
	if len(first.Content) == 0 {
		return ""
	}
	text := strings.Join(strings.Fields(doc), " ")
	if i := strings.Index(text, ". "); i >= 0 {
		text = text[:i+1]
	}
	text = strings.TrimPrefix(text, name+" ")
	text = links.ReplaceAllString(text, "`$1`")
	return strings.ReplaceAll(strings.TrimSuffix(text, "."), "|", `\|`)
}
