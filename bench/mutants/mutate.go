package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"sort"
	"strings"
)

// mutant is one change of one place. It is made by text before and after the
// place, on the same line, so that positions stay what they are.
type mutant struct {
	id            int
	file          string // base name
	line          int
	function      string
	was, is       string
	kind          kind
	start, end    int // of the place, offsets
	before, after string
}

type kind int

const (
	condition  kind = iota // a bool expression
	arithmetic             // + and -
	literal                // 0 and 1
	statement              // left out
	result                 // a return left out
)

func (m *mutant) String() string {
	return fmt.Sprintf("%s:%d %s: %s  =>  %s", m.file, m.line, m.function, m.was, m.is)
}

// key names a mutant in accepted.txt, where lines change and texts seldom do.
func (m *mutant) key() string {
	return fmt.Sprintf("%s %s: %s => %s", m.file, m.function, m.was, m.is)
}

// finder collects the mutants of a file.
type finder struct {
	fset     *token.FileSet
	src      string
	file     string
	function string
	next     *int
	found    []*mutant
	last     map[ast.Stmt]bool // returns that the compiler wants
}

func find(file, src, actor string, next *int) ([]*mutant, error) {
	fset := token.NewFileSet()
	parsed, err := parser.ParseFile(fset, file, src, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	f := &finder{fset: fset, src: src, file: file, next: next, last: map[ast.Stmt]bool{}}
	for _, d := range parsed.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil && (actor == "" || receiver(fn) != actor) {
			f.function = fn.Name.Name
			f.ends(fn.Type, fn.Body)
			ast.Inspect(fn.Body, f.visit)
		}
	}
	return f.found, nil
}

// receiver returns the name of the type that a method belongs to.
func receiver(fn *ast.FuncDecl) string {
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return ""
	}
	t := fn.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if name, ok := t.(*ast.Ident); ok {
		return name.Name
	}
	return ""
}

// ends notes the returns with which a function with a result ends.
func (f *finder) ends(fn *ast.FuncType, body *ast.BlockStmt) {
	if fn.Results == nil {
		return
	}
	var end func(s ast.Stmt)
	ends := func(list []ast.Stmt) {
		if len(list) > 0 {
			end(list[len(list)-1])
		}
	}
	end = func(s ast.Stmt) {
		switch s := s.(type) {
		case *ast.ReturnStmt:
			f.last[s] = true
		case *ast.BlockStmt:
			ends(s.List)
		case *ast.IfStmt:
			if s.Else != nil {
				end(s.Body)
				end(s.Else)
			}
		case *ast.SwitchStmt:
			for _, c := range s.Body.List {
				ends(c.(*ast.CaseClause).Body)
			}
		case *ast.TypeSwitchStmt:
			for _, c := range s.Body.List {
				ends(c.(*ast.CaseClause).Body)
			}
		}
	}
	end(body)
}

func (f *finder) text(n ast.Node) string {
	return f.src[f.offset(n.Pos()):f.offset(n.End())]
}

func (f *finder) offset(p token.Pos) int { return f.fset.Position(p).Offset }

// add notes a mutant of n. before and after have %d for its id.
func (f *finder) add(k kind, n ast.Node, is, before, after string) {
	*f.next++
	id := *f.next
	short := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	f.found = append(f.found, &mutant{
		id: id, file: f.file, line: f.fset.Position(n.Pos()).Line, function: f.function, was: short(f.text(n)), is: short(is), kind: k,
		start: f.offset(n.Pos()), end: f.offset(n.End()), before: strings.ReplaceAll(before, "%d", fmt.Sprint(id)), after: after,
	})
}

// oneLine reports whether n can be repeated within a line: it has no comment
// and no block.
func oneLine(s string) bool { return !strings.ContainsAny(s, "\n") && !strings.Contains(s, "//") }

func (f *finder) value(k kind, n ast.Expr, is string) {
	if oneLine(is) {
		f.add(k, n, is, "mutatedValue(%d, ", ", "+is+")")
	}
}

func (f *finder) boolean(n ast.Expr, is string) {
	if oneLine(is) {
		f.add(condition, n, is, "mutatedBool(%d, func() bool { return ", " }, func() bool { return "+is+" })")
	}
}

// swapped gives what each comparison and connective becomes.
var swapped = map[token.Token][]string{
	token.LSS: {"<=", ">="}, token.LEQ: {"<", ">"}, token.GTR: {">=", "<="}, token.GEQ: {">", "<"},
	token.EQL: {"!="}, token.NEQ: {"=="}, token.LAND: {"||"}, token.LOR: {"&&"},
}

var signs = map[token.Token]string{token.ADD: "-", token.SUB: "+"}

func (f *finder) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.GenDecl:
		return false // constants and types
	case *ast.FuncLit:
		f.ends(n.Type, n.Body)
	case *ast.BinaryExpr:
		f.binary(n)
	case *ast.IfStmt:
		f.negate(n.Cond)
	case *ast.ForStmt:
		if n.Cond != nil {
			f.negate(n.Cond)
		}
	case *ast.SwitchStmt:
		if n.Tag == nil {
			for _, c := range n.Body.List {
				for _, e := range c.(*ast.CaseClause).List {
					f.negate(e)
				}
			}
		}
	case *ast.CallExpr:
		for _, a := range n.Args {
			f.flip(a)
		}
	case *ast.ReturnStmt:
		for _, r := range n.Results {
			f.flip(r)
		}
	case *ast.BlockStmt:
		f.statements(n.List)
	case *ast.CaseClause:
		f.statements(n.Body)
	}
	return true
}

func (f *finder) binary(n *ast.BinaryExpr) {
	x, y := f.text(n.X), f.text(n.Y)
	for _, op := range swapped[n.Op] {
		f.boolean(n, x+" "+op+" "+y)
	}
	if op, ok := signs[n.Op]; ok && !strings.Contains(x+y, `"`) { // texts are joined, not added
		f.value(arithmetic, n, x+" "+op+" "+y)
	}
	if n.Op == token.LAND || n.Op == token.LOR {
		f.negate(n.X)
		f.negate(n.Y)
		return
	}
	if other := flipped(n.Y); other != "" {
		is := x + " " + n.Op.String() + " " + other
		switch {
		case swapped[n.Op] != nil:
			f.boolean(n, is)
		case signs[n.Op] != "":
			f.value(literal, n, is)
		}
	}
}

// negate turns a condition round that is no comparison, which have mutants of
// their own.
func (f *finder) negate(e ast.Expr) {
	switch e := e.(type) {
	case *ast.ParenExpr:
		f.negate(e.X)
		return
	case *ast.BinaryExpr:
		if swapped[e.Op] != nil {
			return
		}
	case *ast.UnaryExpr:
		if e.Op == token.NOT {
			f.boolean(e, f.text(e.X))
			return
		}
	}
	f.boolean(e, "!("+f.text(e)+")")
}

// flipped gives 1 for 0, 0 for 1, and "" for everything else.
func flipped(e ast.Expr) string {
	if l, ok := e.(*ast.BasicLit); ok && l.Kind == token.INT {
		return map[string]string{"0": "1", "1": "0"}[l.Value]
	}
	if l, ok := e.(*ast.Ident); ok {
		return map[string]string{"true": "false", "false": "true"}[l.Name]
	}
	return ""
}

func (f *finder) flip(e ast.Expr) {
	if is := flipped(e); is != "" {
		f.value(literal, e, is)
	}
}

func (f *finder) statements(list []ast.Stmt) {
	for _, s := range list {
		text := f.text(s)
		switch s := s.(type) {
		case *ast.ExprStmt:
			f.leaveOut(statement, s)
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
			f.leaveOut(statement, s)
			if op := map[token.Token]string{token.ADD_ASSIGN: "-=", token.SUB_ASSIGN: "+="}[s.Tok]; op != "" && oneLine(text) {
				is := f.text(s.Lhs[0]) + " " + op + " " + f.text(s.Rhs[0])
				f.add(arithmetic, s, is, "if mutantInForce == %d { "+is+" } else { ", " }")
			}
			for _, r := range s.Rhs {
				f.flip(r)
			}
		case *ast.IncDecStmt:
			f.leaveOut(statement, s)
			is := f.text(s.X) + map[token.Token]string{token.INC: "--", token.DEC: "++"}[s.Tok]
			f.add(arithmetic, s, is, "if mutantInForce == %d { "+is+" } else { ", " }")
		case *ast.BranchStmt:
			if s.Tok == token.BREAK || s.Tok == token.CONTINUE {
				f.leaveOut(statement, s)
			}
		case *ast.ReturnStmt:
			if !f.last[s] {
				f.leaveOut(result, s)
			}
		}
	}
}

func (f *finder) leaveOut(k kind, s ast.Stmt) {
	f.add(k, s, "(left out)", "if mutantInForce != %d { ", " }")
}

// apply writes the mutants into their file. Of places that begin together the
// longer is the outer one; of mutants of one place the earlier.
func apply(src string, mutants []*mutant) string {
	type insert struct {
		at, rank int
		text     string
	}
	outer := append([]*mutant(nil), mutants...)
	sort.SliceStable(outer, func(i, j int) bool {
		a, b := outer[i], outer[j]
		if a.start != b.start {
			return a.start < b.start
		}
		if a.end != b.end {
			return a.end > b.end
		}
		// A statement around an expression that is all of it.
		return a.kind >= statement && b.kind < statement
	})
	var list []insert
	for i, m := range outer {
		list = append(list, insert{m.start, i, m.before}, insert{m.end, -len(outer) - i, m.after})
	}
	sort.SliceStable(list, func(i, j int) bool {
		if list[i].at != list[j].at {
			return list[i].at < list[j].at
		}
		return list[i].rank < list[j].rank // ends first, the innermost of them first
	})
	var b strings.Builder
	last := 0
	for _, in := range list {
		b.WriteString(src[last:in.at])
		b.WriteString(in.text)
		last = in.at
	}
	b.WriteString(src[last:])
	return b.String()
}
