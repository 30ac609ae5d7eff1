package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// printJSON writes one indented document.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.out)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// printLine writes one object a line, for streams.
func (a *app) printLine(v any) error {
	e := json.NewEncoder(a.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// table writes rows under a header, in columns.
func (a *app) table(header string, rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.Join(strings.Fields(cell), " ") // a name of somebody else's makes no row of its own
		}
		fmt.Fprintln(w, printable(strings.Join(row, "\t")))
	}
	return w.Flush()
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// progress is a bar on stderr, if that is a terminal, and else nothing.
type progress struct{ bar *progressbar.ProgressBar }

// progress of total steps; below 1 the total is not known.
func (a *app) progress(total int, what string) *progress {
	if a.json || !isTerminal(a.err) {
		return &progress{}
	}
	if total < 1 {
		total = -1
	}
	return &progress{progressbar.NewOptions(total, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionOnCompletion(func() { fmt.Fprintln(a.err) }))}
}

func (p *progress) add(n int) {
	if p.bar != nil {
		_ = p.bar.Add(n) // a bar that cannot be drawn holds nothing up
	}
}

func (p *progress) end() {
	if p.bar != nil && !p.bar.IsFinished() {
		_ = p.bar.Exit()
	}
}

// confirm asks on the terminal; without one, --yes must have been given.
func (a *app) confirm(yes bool, question string) error {
	if yes {
		return nil
	}
	if a.json || !isTerminal(a.in) {
		return &coded{exitUnconfirmed, fmt.Errorf("%s Nothing was done: there is no terminal to ask on; give --yes", question)}
	}
	fmt.Fprintf(a.err, "%s Type yes: ", question)
	answer, err := bufio.NewReader(a.in).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(answer) != "yes" {
		return &coded{exitUnconfirmed, fmt.Errorf("not confirmed: nothing was done")}
	}
	return nil
}

// cut shortens text to n runes and makes it one line.
func cut(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > max(n, 0) {
		return string(r[:max(n, 1)-1]) + "…"
	}
	return s
}

// sorted are the keys of m in order.
func sorted(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }
