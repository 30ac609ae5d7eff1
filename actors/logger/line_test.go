package logger

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/task"
)

// A Line writes what Handle writes, whatever its handler and its values are.
func TestALineIsWhatHandleWrites(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	ctx := task.WithOrigin(context.Background(), "r-1", "GET /orders/{id}")
	keys := []string{"status", "duration", "remote", "whole"}
	values := []slog.Value{slog.IntValue(200), slog.DurationValue(1500 * time.Microsecond), slog.StringValue("203.0.113.9 \"x\"\n"), slog.BoolValue(true)}
	for name, c := range map[string]struct {
		with   func(slog.Handler) slog.Handler
		keys   []string
		values []slog.Value
		opts   []Option
		fast   bool
	}{
		"plain":            {fast: true},
		"with attributes":  {with: func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.String("method", "GET")}) }, fast: true},
		"a name":           {with: func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{Name("server")}) }, fast: true},
		"a long value":     {values: []slog.Value{slog.IntValue(1), slog.IntValue(2), slog.StringValue(strings.Repeat("x", 1<<20)), slog.IntValue(3)}, fast: true},
		"every kind":       {values: []slog.Value{slog.Uint64Value(1), slog.Float64Value(0.5), slog.TimeValue(at), slog.Int64Value(-1)}, fast: true},
		"a reserved key":   {keys: []string{"status", "job_id", "msg", "time"}, fast: true},
		"a key of With":    {with: func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.Int("status", 1)}) }},
		"a key twice":      {keys: []string{"status", "a", "status", "b"}},
		"a redacted key":   {keys: []string{"status", "password", "remote", "whole"}},
		"no key":           {keys: []string{"status", "", "remote", "whole"}},
		"a group":          {with: func(h slog.Handler) slog.Handler { return h.WithGroup("http") }},
		"a group and more": {with: func(h slog.Handler) slog.Handler { return h.WithGroup("http").WithAttrs([]slog.Attr{slog.Int("a", 1)}) }},
		"an error of With": {with: func(h slog.Handler) slog.Handler {
			return h.WithAttrs([]slog.Attr{slog.Any("error", context.Canceled)})
		}, fast: true},
		"labels of With":     {with: func(h slog.Handler) slog.Handler { return h.WithAttrs([]slog.Attr{slog.Any("l", Labels{"a": "b"})}) }, fast: true},
		"a value by itself":  {values: []slog.Value{slog.IntValue(1), slog.AnyValue(valuer{}), slog.AnyValue(context.Canceled), slog.GroupValue(slog.Int("a", 1))}, fast: true},
		"fewer values":       {values: values[:2], fast: true},
		"more values":        {values: append(values[:4:4], slog.IntValue(1)), fast: true},
		"a hook":             {opts: []Option{WithHook(slog.DiscardHandler)}},
		"another handler":    {with: func(h slog.Handler) slog.Handler { return foreign{h} }},
		"of an audit logger": {fast: true},
	} {
		for _, format := range []Format{FormatJSON, FormatStackdriver, FormatText} {
			out := &sink{}
			l := newLogger(t, Settings{Format: format, Level: "debug", Redact: []string{"password"}}, out, c.opts...)
			if c.keys == nil {
				c.keys = keys
			}
			if c.values == nil {
				c.values = values
			}
			h := l.Slog().Handler()
			if name == "of an audit logger" {
				h = l.Audit("audit").Handler()
			}
			if c.with != nil {
				h = c.with(h)
			}
			line := NewLine(h, "request", c.keys...)
			for _, level := range []slog.Level{slog.LevelInfo, slog.LevelError} {
				from := len(out.String())
				line.Write(ctx, at, level, c.values...)
				got := out.String()[from:]
				var attrs []slog.Attr
				for i, k := range c.keys {
					if i < len(c.values) {
						attrs = append(attrs, slog.Attr{Key: k, Value: c.values[i]})
					}
				}
				from = len(out.String())
				_ = Handle(ctx, h, at, level, "request", attrs...)
				want := out.String()[from:]
				if got != want {
					t.Errorf("%s, %s: %.300q, want %.300q", name, format, got, want)
				}
			}
			if (line.own != nil) != c.fast && !(format == FormatStackdriver && c.fast && line.own == nil) {
				t.Errorf("%s, %s: the keys are encoded: %v, want %v", name, format, line.own != nil, c.fast)
			}
		}
	}
}

// The head of a Line is that of Handle, whatever job its ctx has and whichever came first.
func TestTheJobOfALine(t *testing.T) {
	at, none := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC), context.Background()
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	job := task.WithInfo(none, &task.Info{JobID: "j", JobName: "nightly", Task: "invoice", Attempt: 2})
	first := task.WithOrigin(none, "r-1", "GET /orders/{id}")
	for _, settings := range []Settings{{}, {MaxLine: minMaxLine}} {
		for _, msg := range []string{"request", "a \"message\"\n", strings.Repeat("m", 3*minMaxLine)} {
			out := &sink{}
			settings.Format = FormatJSON
			l := newLogger(t, settings, out)
			h := l.Named("server").Handler()
			line := NewLine(h, msg, "status")
			for i, ctx := range []context.Context{
				task.WithOrigin(none, "r-0", strings.Repeat("n", 300)), first, first,
				task.WithOrigin(none, "r-2", "GET /orders"), task.WithOrigin(none, "", "name alone"),
				task.WithOrigin(none, "id alone", ""), task.WithOrigin(none, "\"\u202e\n", "\"\n"),
				task.WithOrigin(none, strings.Repeat("i", 3*minMaxLine), strings.Repeat("n", 3*minMaxLine)),
				trace.ContextWithSpanContext(first, span), job, task.WithOrigin(job, "inner", "job"), none, nil, first,
			} {
				for _, at := range []time.Time{at, {}} {
					from := len(out.String())
					line.Write(ctx, at, slog.LevelWarn, slog.IntValue(200))
					got := out.String()[from:]
					from = len(out.String())
					_ = Handle(ctx, h, at, slog.LevelWarn, msg, slog.Int("status", 200))
					if want := out.String()[from:]; got != want {
						t.Errorf("%d: %.400q, want %.400q", i, got, want)
					}
				}
			}
		}
	}
}

// foreign is the handler of another library around ours.
type foreign struct{ slog.Handler }

// A Line is sampled like other records.
func TestALineIsSampled(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Sampling: Sampling{First: 2, Thereafter: 3}}, out)
	line := NewLine(l.Slog().Handler(), "request", "status")
	for range 8 {
		line.Write(context.Background(), time.Now(), slog.LevelInfo, slog.IntValue(200))
	}
	if all := out.lines(t); len(all) != 4 || all[2]["sampled"] != 2.0 {
		t.Errorf("%v", all)
	}
}

// A Line costs no allocation.
func TestALineCostsNoAllocation(t *testing.T) {
	l := newLogger(t, Settings{}, &sink{})
	start(t, l)
	line := NewLine(l.Slog().Handler(), "request", "status", "remote")
	ctx, at := context.Background(), time.Now()
	write := func() { line.Write(ctx, at, slog.LevelInfo, slog.IntValue(200), slog.StringValue("203.0.113.9")) }
	write()
	if n := testing.AllocsPerRun(100, write); n > 0 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
}
