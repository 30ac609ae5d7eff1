package logger

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/slogtest"
)

// TestSlogtest runs the standard library's checks of a handler against every
// form, policy and mode.
func TestSlogtest(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		for _, policy := range []Policy{PolicyBlock, PolicyDropBelow, PolicyDropOldest} {
			for _, running := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/running=%v", format, policy, running), func(t *testing.T) {
					var out *sink
					var l *Logger
					slogtest.Run(t, func(t *testing.T) slog.Handler {
						out = &sink{}
						l = newLogger(t, Settings{Format: format, Policy: policy}, out)
						if running {
							start(t, l)
						}
						return l.Handler()
					}, func(t *testing.T) map[string]any {
						flush(t, l)
						if format == FormatText {
							return parseText(t, out.String())
						}
						m := out.last(t)
						if format == FormatStackdriver {
							for from, to := range map[string]string{"timestamp": slog.TimeKey, "severity": slog.LevelKey, "message": slog.MessageKey} {
								if v, ok := m[from]; ok {
									m[to] = v
								}
							}
						}
						return m
					})
				})
			}
		}
	}
}

// parseText reads a line of the text form back, for messages of one word.
func parseText(t *testing.T, s string) map[string]any {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	rest := lines[len(lines)-1]
	m := map[string]any{}
	word := func() string {
		rest = strings.TrimLeft(rest, " ")
		w, after, _ := strings.Cut(rest, " ")
		rest = after
		return w
	}
	w := word()
	if strings.HasPrefix(w, "20") {
		m[slog.TimeKey] = w + " " + word()
		w = word()
	}
	m[slog.LevelKey] = w
	m[slog.MessageKey] = word()
	for {
		rest = strings.TrimLeft(rest, " ")
		key, after, ok := strings.Cut(rest, "=")
		if !ok {
			return m
		}
		var value string
		if strings.HasPrefix(after, `"`) {
			q, err := strconv.QuotedPrefix(after)
			if err != nil {
				t.Fatalf("bad quoting in %q", after)
			}
			value, _ = strconv.Unquote(q)
			rest = after[len(q):]
		} else {
			value, rest, _ = strings.Cut(after, " ")
		}
		group := m
		path := strings.Split(key, ".")
		for _, g := range path[:len(path)-1] {
			next, ok := group[g].(map[string]any)
			if !ok {
				next = map[string]any{}
				group[g] = next
			}
			group = next
		}
		group[path[len(path)-1]] = value
	}
}
