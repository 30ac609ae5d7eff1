package logger

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/sambatech/chassis/task"
)

// The marks of a cut counted too little: not what was left out before the line was
// encoded, and in the text form the length of what was kept as well.
func TestWhatIsCutIsCountedRight(t *testing.T) {
	const size = 50_000
	long := strings.Repeat("x", size)
	for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
		for where, log := range map[string]func(*slog.Logger){
			"value":   func(l *slog.Logger) { l.Info("m", "long", long) },
			"with":    func(l *slog.Logger) { l.With("long", long).Info("m") },
			"message": func(l *slog.Logger) { l.Info(long) },
		} {
			out := &sink{}
			l := newLogger(t, Settings{Format: format, MaxLine: 1024, Source: "off"}, out)
			log(l.Slog())
			got := out.String()
			if len(got) > 1024 {
				t.Errorf("%s: %s: %d bytes", format, where, len(got))
			}
			kept := strings.Count(got, "xx")*2 + strings.Count(strings.ReplaceAll(got, "xx", ""), "x")
			_, mark, _ := strings.Cut(got, "…[cut ")
			var cut int
			if _, err := fmt.Sscanf(mark, "%d bytes]", &cut); err != nil {
				t.Fatalf("%s: %s: %v: %s", format, where, err, got)
			}
			after := 0 // the text form also cuts what stands behind the value
			if format == FormatText {
				after = len(" service=mailer")
			}
			if kept+cut-after != size {
				t.Errorf("%s: %s: %d bytes are kept and %d cut, of %d", format, where, kept, cut, size)
			}
			if format == FormatText {
				continue
			}
			if n := out.last(t)["truncated"].(float64); n < size || n > size+300 {
				t.Errorf("%s: %s: the line would have had %v bytes", format, where, n)
			}
		}
	}
}

// An id was cut to less than an id by a mark as long as what it took.
func TestShortValuesAreNotCut(t *testing.T) {
	const id = "123e4567-e89b-42d3-a456-426614174000"
	out := &sink{}
	l := newLogger(t, Settings{MaxLine: 1024}, out)
	args := []any{"request_id", id}
	for i := range 200 {
		args = append(args, fmt.Sprint("k", i), strings.Repeat("v", 40))
	}
	l.Slog().InfoContext(task.WithInfo(t.Context(), &task.Info{ExecID: id}), "m", args...)
	if m := out.last(t); m["exec_id"] != id || m["request_id"] != id || len(out.String()) > 1024 {
		t.Errorf("%s", out)
	}
}

func TestLineLimitCutsInsideValues(t *testing.T) {
	for _, format := range []Format{FormatJSON, FormatStackdriver} {
		out := &sink{}
		l := newLogger(t, Settings{Format: format, MaxLine: 2048}, out)
		long := strings.Repeat("é\"\n😀", 5000)
		l.Slog().With("before", "kept").Info("short", "long", long, "after", 7,
			slog.Group("g", slog.String("x", strings.Repeat("y", 1500)), slog.Int("n", 1)),
			"list", make([]int, 3000))
		line := out.String()
		m := out.last(t)
		if len(line) > 2048 {
			t.Errorf("%s: %d bytes", format, len(line))
		}
		g, _ := m["g"].(map[string]any)
		if m["before"] != "kept" || m["after"] != 7.0 || g == nil || g["n"] != 1.0 || m["service"] != "mailer" {
			t.Errorf("%s: fields next to the long ones are gone: %s", format, line)
		}
		if v := m["long"].(string); !strings.HasPrefix(long, v[:strings.Index(v, "…")]) || !strings.Contains(v, "[cut ") {
			t.Errorf("%s: long is %q", format, v)
		}
		if n, _ := m["truncated"].(float64); n <= 2048 {
			t.Errorf("%s: truncated is %v", format, m["truncated"])
		}
	}
	// So many fields that cutting values is not enough: the last are left out.
	out := &sink{}
	l := newLogger(t, Settings{MaxLine: 1024}, out)
	var many []any
	for i := range 500 {
		many = append(many, fmt.Sprintf("k%d", i), i)
	}
	l.Slog().Info("m", many...)
	m := out.last(t)
	if len(out.String()) > 1024 || m["k0"] != 0.0 || m["k499"] != nil || m["truncated"] == nil {
		t.Errorf("%d bytes: %v", len(out.String()), m)
	}
	// Text, in colours.
	out = &sink{}
	l = newLogger(t, Settings{MaxLine: 1024, Format: FormatText}, out)
	l.Slog().Info("m", "long", strings.Repeat("é", 5000), "z", 1)
	if s := out.String(); len(s) > 1024 || !strings.HasSuffix(s, " bytes]\n") || strings.Contains(s, "\ufffd") {
		t.Errorf("%d bytes: %q", len(s), s)
	}
}

// Keys that differ after what a line has room for became one key that stood twice.
func TestKeysThatAreCutAlikeStayApart(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{MaxLine: 1024}, out)
	long := strings.Repeat("k", 3000)
	l.Slog().Info("m", long+"a", 1, long+"b", 2, "z", 3)
	if err := uniqueKeys(strings.TrimSuffix(out.String(), "\n")); err != nil {
		t.Errorf("%v in %s", err, out.String())
	}
	values := map[any]bool{}
	for _, v := range out.last(t) {
		values[v] = true
	}
	if !values[1.0] || !values[2.0] || !values[3.0] {
		t.Errorf("a field is gone: %s", out.String())
	}
}
