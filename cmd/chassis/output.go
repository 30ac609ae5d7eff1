package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf16"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/sambatech/chassis/internal/clip"
)

// harmless is a stream of the command. What strangers wrote cannot control a
// terminal through it: control and formatting characters are replaced. Each
// Write holds whole characters.
type harmless struct{ to io.Writer }

// Write implements io.Writer.
func (h harmless) Write(p []byte) (int, error) {
	if _, err := io.WriteString(h.to, printable(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// raw returns the stream itself, for what the command draws by itself.
func raw(stream any) any {
	if h, ok := stream.(harmless); ok {
		return h.to
	}
	return stream
}

// printJSON writes one indented document.
func (a *app) printJSON(v any) error {
	return a.encodeJSON(v, func(e *json.Encoder) { e.SetIndent("", "  ") })
}

// printLine writes one object a line, for streams.
func (a *app) printLine(v any) error { return a.encodeJSON(v, func(*json.Encoder) {}) }

// encodeJSON writes v. Characters that control a terminal are written as \u
// escapes, which are the same value.
func (a *app) encodeJSON(v any, how func(*json.Encoder)) error {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	how(e)
	if err := e.Encode(v); err != nil {
		return err
	}
	_, err := io.WriteString(a.out, escaped(b.String()))
	return err
}

// escaped writes what is unsafe in a JSON text as escapes. Those characters stand
// in strings alone; line breaks stand between values.
func escaped(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n' || !clip.Unsafe(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// table writes rows under a header, in columns.
func (a *app) table(header string, rows [][]string) error {
	w := tabwriter.NewWriter(a.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, header)
	for _, row := range rows {
		for i, cell := range row {
			row[i] = strings.Join(strings.Fields(cell), " ") // a foreign name makes no row of its own
		}
		fmt.Fprintln(w, printable(strings.Join(row, "\t")))
	}
	return w.Flush()
}

func isTerminal(stream any) bool {
	f, ok := raw(stream).(*os.File)
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
	return &progress{progressbar.NewOptions(total, progressbar.OptionSetWriter(raw(a.err).(io.Writer)),
		progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionOnCompletion(func() { fmt.Fprintln(a.err) }))}
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
		return &coded{exitUnconfirmed, fmt.Errorf("%s Nothing was done: there is no terminal to ask on; give --yes",
			question)}
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
