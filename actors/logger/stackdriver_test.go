package logger

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files again")

// golden is one case of testdata/stackdriver.json: what is logged, where the
// fields are documented, and the line that Google's agents get.
type golden struct {
	Case    string         `json:"case"`
	Sources []string       `json:"sources"`
	Want    map[string]any `json:"want"`
}

const (
	docStructured = "https://cloud.google.com/logging/docs/structured-logging#structured_logging_special_fields"
	docLogEntry   = "https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry"
	docErrors     = "https://cloud.google.com/error-reporting/docs/formatting-error-messages"
	docAgent      = "https://cloud.google.com/logging/docs/agent/logging/configuration#timestamp-processing"
	docFluentBit  = "https://github.com/fluent/fluent-bit-docs/blob/master/pipeline/outputs/stackdriver_special_fields.md"
	docOriginal   = "COMPATIBILITY: the Python chassis, Stackdriver form"
)

func TestStackdriverGolden(t *testing.T) {
	at := time.Date(2026, 11, 23, 13, 5, 0, 42, time.UTC)
	sc := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{0x4b, 0xf9, 0x2f, 15: 0x36}, SpanID: trace.SpanID{1, 7: 2}, TraceFlags: trace.FlagsSampled,
	})
	inTrace := trace.ContextWithSpanContext(context.Background(), sc)
	cause := &fs.PathError{Op: "open", Path: "clip.mov", Err: errors.New("no such file")}
	request := HTTPRequest{
		Method: "POST", URL: "https://example.org/v1?q=1", Status: 503, RequestSize: 12, ResponseSize: 3400,
		UserAgent: "curl", RemoteIP: "192.0.2.7", ServerIP: "192.0.2.1", Referer: "https://example.org",
		Protocol: "HTTP/1.1", Latency: 1500 * time.Millisecond,
	}
	cases := []struct {
		name    string
		sources []string
		ctx     context.Context
		level   slog.Level
		msg     string
		attrs   []any
		opts    Settings
	}{
		{"message, timestamp, severity, module, ids", []string{docStructured, docAgent, docFluentBit, docOriginal}, jobCtx("j1"), slog.LevelInfo, "a \"quoted\"\nmessage", []any{"n", 1, "list", []string{"a"}}, Settings{}},
		{"severity debug", []string{docLogEntry + "#LogSeverity"}, nil, slog.LevelDebug, "m", nil, Settings{}},
		{"severity notice", []string{docLogEntry + "#LogSeverity"}, nil, LevelNotice, "m", nil, Settings{}},
		{"severity warning", []string{docLogEntry + "#LogSeverity"}, nil, slog.LevelWarn, "m", nil, Settings{}},
		{"severity between two", []string{docLogEntry + "#LogSeverity"}, nil, slog.LevelWarn + 1, "m", nil, Settings{}},
		{"severity critical", []string{docLogEntry + "#LogSeverity"}, nil, LevelCritical, "m", nil, Settings{}},
		{"severity alert", []string{docLogEntry + "#LogSeverity"}, nil, LevelAlert, "m", nil, Settings{}},
		{"severity emergency", []string{docLogEntry + "#LogSeverity"}, nil, LevelEmergency, "m", nil, Settings{}},
		{"sourceLocation, file, line", []string{docLogEntry + "#LogEntrySourceLocation", docFluentBit, docOriginal}, nil, slog.LevelInfo, "m", nil, Settings{Source: "on"}},
		{"trace, spanId, trace_sampled", []string{docStructured, docLogEntry}, inTrace, slog.LevelInfo, "m", nil, Settings{}},
		{"labels", []string{docStructured, docFluentBit}, nil, slog.LevelInfo, "m", []any{"l", Labels{"team": "mail", "a": "1"}}, Settings{}},
		{"insertId", []string{docStructured, docLogEntry}, nil, slog.LevelInfo, "m", []any{InsertID("id-1")}, Settings{}},
		{"operation", []string{docLogEntry + "#LogEntryOperation", docFluentBit}, nil, slog.LevelInfo, "m", []any{"op", Operation{ID: "o1", Producer: "mailer", First: true}}, Settings{}},
		{"httpRequest", []string{docLogEntry + "#HttpRequest", docStructured}, nil, slog.LevelInfo, "m", []any{slog.Group("g", "req", request, "n", 1)}, Settings{}},
		{"error: serviceContext, exception, stack_trace", []string{docErrors, docOriginal}, nil, slog.LevelError, "send failed", []any{"err", fmt.Errorf("mail 7: %w", cause)}, Settings{}},
		{"error with the stack of a panic", []string{docErrors}, nil, slog.LevelError, "task panicked", []any{"stack", Stack("goroutine 7 [running]:\nmain.f()\n\t/src/main.go:7 +0x1\n")}, Settings{}},
		{"reserved names of a user", []string{docOriginal}, nil, slog.LevelInfo, "m", []any{"severity", "mine", "message", 1, "timestamp", 2, "logging.googleapis.com/trace", "mine", "service", "mine", "time", "mine"}, Settings{}},
	}
	path := filepath.Join("testdata", "stackdriver.json")
	var want []golden
	if !*update {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &want); err != nil {
			t.Fatal(err)
		}
	}
	var got []golden
	for i, c := range cases {
		out := &sink{}
		s := c.opts
		s.Format = FormatStackdriver
		s.Level = "debug"
		s.Source = cmp.Or(s.Source, "off")
		l := newLogger(t, s, out, WithProject("p1"))
		pc, _, _, _ := runtime.Caller(0)
		r := slog.NewRecord(at, c.level, c.msg, pc+1)
		r.Add(c.attrs...)
		ctx := c.ctx
		if ctx == nil {
			ctx = context.Background()
		}
		log := l.Named("actors/mail")
		if err := log.Handler().Handle(ctx, r); err != nil {
			t.Fatal(err)
		}
		m := out.last(t)
		steady(m)
		got = append(got, golden{Case: c.name, Sources: c.sources, Want: m})
		if *update {
			continue
		}
		if i >= len(want) || want[i].Case != c.name {
			t.Fatalf("the golden file has no case %q: run with -update", c.name)
		}
		if len(want[i].Sources) == 0 {
			t.Errorf("%s: no source is named", c.name)
		}
		if !reflect.DeepEqual(m, want[i].Want) {
			g, _ := json.MarshalIndent(m, "", " ")
			w, _ := json.MarshalIndent(want[i].Want, "", " ")
			t.Errorf("%s:\ngot  %s\nwant %s", c.name, g, w)
		}
	}
	if *update {
		raw, _ := json.MarshalIndent(got, "", "\t")
		if err := os.WriteFile(path, append(raw, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// steady replaces what depends on where and how the test was built.
func steady(m map[string]any) {
	place := func(m map[string]any) {
		if f, ok := m["file"].(string); ok {
			m["file"] = "…/" + filepath.Base(f)
			switch m["line"].(type) {
			case string:
				m["line"] = "1"
			case float64:
				m["line"] = 1.0
			}
		}
	}
	place(m)
	if l, ok := m["logging.googleapis.com/sourceLocation"].(map[string]any); ok {
		place(l)
	}
	if s, ok := m["stack_trace"].(string); ok && strings.Contains(s, "TestStackdriverGolden") {
		head, _, _ := strings.Cut(s, "(...)")
		m["stack_trace"] = head + "(...)…"
	}
}

// TestStackOfAnErrorBeginsAtTheCall: Error Reporting groups by the frames.
func TestStackOfAnErrorBeginsAtTheCall(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Format: FormatStackdriver}, out)
	l.Slog().Error("failed", "err", errors.New("cause"))
	stack := out.last(t)["stack_trace"].(string)
	lines := strings.Split(stack, "\n")
	if lines[0] != "failed: cause" || lines[2] != "goroutine 1 [running]:" {
		t.Errorf("the stack begins with %q", lines[:3])
	}
	if !strings.HasSuffix(lines[3], "TestStackOfAnErrorBeginsAtTheCall(...)") || !strings.Contains(lines[4], "stackdriver_test.go:") {
		t.Errorf("the first frame is %q %q", lines[3], lines[4])
	}
	l.Slog().Warn("no error", "err", errors.New("cause"))
	m := out.last(t)
	if m["stack_trace"] != nil || m["exception"] != nil || m["serviceContext"] != nil {
		t.Errorf("a warning looks like an error: %v", m)
	}
}

func TestInsertIDsAreUniqueAndOrdered(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Format: FormatStackdriver, InsertID: true}, out)
	for range 300 {
		l.Slog().Info("m")
	}
	last := ""
	for _, m := range out.lines(t) {
		id := m["logging.googleapis.com/insertId"].(string)
		if id <= last {
			t.Fatalf("%s after %s", id, last)
		}
		last = id
	}
}

func TestLabelsOfWithAndCallAreMerged(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Format: FormatStackdriver}, out)
	log := l.Slog().With("l", Labels{"a": "1", "b": "1"})
	log.Info("m", "l", Labels{"b": "2", "c": "3"})
	want := map[string]any{"a": "1", "b": "2", "c": "3"}
	if got := out.last(t)["logging.googleapis.com/labels"]; !reflect.DeepEqual(got, want) {
		t.Errorf("labels: %v", got)
	}
	log.Info("m")
	if got := out.last(t)["logging.googleapis.com/labels"]; !reflect.DeepEqual(got, map[string]any{"a": "1", "b": "1"}) {
		t.Errorf("the call's labels stayed: %v", got)
	}
	l = newLogger(t, Settings{}, out)
	l.Slog().Info("m", "l", Labels{"a": "1"}, "req", HTTPRequest{Method: "GET"}, "op", Operation{ID: "x"}, InsertID("i"))
	m := out.last(t)
	if m["l"].(map[string]any)["a"] != "1" || m["req"].(map[string]any)["method"] != "GET" || m["op"].(map[string]any)["id"] != "x" || m["insert_id"] != "i" {
		t.Errorf("in the JSON form: %v", m)
	}
}

// 1.059030896 s was written as 1.0590308959999999s: more decimals than a
// google.protobuf.Duration may have.
func TestLatencyIsADuration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "latency"))
		r := HTTPRequest{Latency: d}
		var m map[string]string
		if err := json.Unmarshal(r.appendJSON(nil, &form{}), &m); err != nil {
			t.Fatal(err)
		}
		text := m["latency"]
		if _, decimals, ok := strings.Cut(strings.TrimSuffix(text, "s"), "."); ok && len(decimals) > 9 {
			t.Fatalf("%v is %s", int64(d), text)
		}
		if back, err := time.ParseDuration(text); err != nil || back != d {
			t.Fatalf("%v is %s, which is %v (%v)", int64(d), text, int64(back), err)
		}
	})
}

// A logger kept the caller's own map: what it was changed to was logged, and a
// change during a call ended the process.
func TestLabelsOfWithAreTheCallersNoMore(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Format: FormatStackdriver}, out)
	labels := Labels{"tenant": "a"}
	log := l.Slog().With("labels", labels)
	labels["tenant"] = "b"
	log.Info("m")
	if got := out.last(t)["logging.googleapis.com/labels"]; !reflect.DeepEqual(got, map[string]any{"tenant": "a"}) {
		t.Errorf("labels: %v", got)
	}
}

// The exception was that of With, though the record had one of its own, which
// had taken the other's place among the fields.
func TestTheExceptionIsTheCallsOwn(t *testing.T) {
	out := &sink{}
	l := newLogger(t, Settings{Format: FormatStackdriver}, out)
	log := l.Slog().With("error", errors.New("earlier"))
	log.Error("m", "error", errors.New("now"))
	if m := out.last(t); m["error"] != "now" || fmt.Sprint(m["exception"]) != "[*errors.errorString: now]" {
		t.Errorf("error %v, exception %v", m["error"], m["exception"])
	}
	log.Error("m")
	if m := out.last(t); m["error"] != "earlier" || fmt.Sprint(m["exception"]) != "[*errors.errorString: earlier]" {
		t.Errorf("error %v, exception %v", m["error"], m["exception"])
	}
	log.With("error", errors.New("later")).Error("m")
	if m := out.last(t); m["error"] != "later" || fmt.Sprint(m["exception"]) != "[*errors.errorString: later]" {
		t.Errorf("error %v, exception %v", m["error"], m["exception"])
	}
}
