package server

import (
	"context"
	"encoding/binary"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/task"
)

const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// The id of a request is the job of its records, of its response and of its tasks.
func TestTheRequestIsTheJob(t *testing.T) {
	log := newLines(t)
	var sent *task.Outgoing
	h := Middleware(log)(muxOf(map[string]http.HandlerFunc{"GET /orders/{id}": func(w http.ResponseWriter, r *http.Request) {
		log.Logger("orders").InfoContext(r.Context(), "inside")
		if task.JobFrom(r.Context()) != nil {
			t.Error("a request is taken for a task")
		}
		var err error
		if sent, err = task.Encode("invoice", nil, time.Now(), task.FromContext(r.Context())); err != nil {
			t.Error(err)
		}
	}}))
	for name, c := range map[string]struct {
		header []string
		want   string // "": a new one
	}{
		"of the caller":      {[]string{"X-Request-Id", "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"}, "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"},
		"of AWS":             {[]string{"X-Request-Id", "Root=1-67891233-abcdef012345678912345678"}, "Root=1-67891233-abcdef012345678912345678"},
		"of the trace":       {[]string{"Traceparent", parent}, "4bf92f3577b34da6a3ce929d0e0e4736"},
		"the header wins":    {[]string{"Traceparent", parent, "X-Request-Id", "mine"}, "mine"},
		"none":               {nil, ""},
		"empty":              {[]string{"X-Request-Id", ""}, ""},
		"a line break":       {[]string{"X-Request-Id", "a\r\nSet-Cookie: b=c"}, ""},
		"text direction":     {[]string{"X-Request-Id", "a\u202eb"}, ""},
		"a space":            {[]string{"X-Request-Id", "a b"}, ""},
		"a quote":            {[]string{"X-Request-Id", `a","level":"ERROR`}, ""},
		"not UTF-8":          {[]string{"X-Request-Id", "\xff\xfe"}, ""},
		"a megabyte":         {[]string{"X-Request-Id", strings.Repeat("a", 1<<20)}, ""},
		"one byte too long":  {[]string{"X-Request-Id", strings.Repeat("a", MaxID+1)}, ""},
		"two":                {[]string{"X-Request-Id", "a", "X-Request-Id", "b"}, ""},
		"a trace of zeros":   {[]string{"Traceparent", "00-00000000000000000000000000000000-00f067aa0ba902b7-01"}, ""},
		"a trace of a lot":   {[]string{"Traceparent", strings.Repeat("0", 1<<20)}, ""},
		"two traces":         {[]string{"Traceparent", parent, "Traceparent", parent}, ""},
		"the longest":        {[]string{"X-Request-Id", strings.Repeat("a", MaxID)}, strings.Repeat("a", MaxID)},
		"a huge trace state": {[]string{"Traceparent", parent, "Tracestate", strings.Repeat("a=b,", 1<<18)}, "4bf92f3577b34da6a3ce929d0e0e4736"},
	} {
		w := ask(h, "GET", "/orders/17", c.header...)
		id := w.Header().Get("X-Request-Id")
		switch {
		case c.want != "" && id != c.want:
			t.Errorf("%s: %.60q, want %.60q", name, id, c.want)
		case c.want == "" && (len(id) != idLength || !ValidID(id)):
			t.Errorf("%s: a new id is %.60q", name, id)
		}
		inside := log.all(t, "inside")
		for _, line := range []map[string]any{inside[len(inside)-1], log.last(t)} {
			if line["job_id"] != id || line["job_name"] != "GET /orders/{id}" {
				t.Errorf("%s: the record %v has job %.60q %q", name, line["msg"], line["job_id"], line["job_name"])
			}
		}
		m, _ := task.Decode(sent.Body, sent.Attributes)
		if m.JobID != id || m.JobName != "GET /orders/{id}" {
			t.Errorf("%s: the task has job %.60q %q", name, m.JobID, m.JobName)
		}
	}
	seen := map[string]bool{}
	for range 1000 {
		seen[ask(h, "GET", "/orders/17").Header().Get("X-Request-Id")] = true
	}
	if len(seen) != 1000 {
		t.Errorf("of 1000 new ids %d differ", len(seen))
	}
}

// The trace of the caller is the trace of the records and the tasks.
func TestTheTraceGoesOn(t *testing.T) {
	log := newLines(t)
	var got trace.SpanContext
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = trace.SpanContextFromContext(r.Context()) })
	h := Middleware(log)(inner)
	ask(h, "GET", "/", "Traceparent", parent, "Tracestate", "vendor=1")
	if !got.IsRemote() || got.TraceID().String() != "4bf92f3577b34da6a3ce929d0e0e4736" || got.TraceState().Get("vendor") != "1" {
		t.Errorf("%+v", got)
	}
	if line := log.last(t); line["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("%v", line)
	}
	// A span of tracing middleware outside stays.
	own := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r.WithContext(trace.ContextWithSpanContext(r.Context(), own)))
	})
	ask(outside, "GET", "/", "Traceparent", parent)
	if !got.Equal(own) {
		t.Errorf("%+v", got)
	}
}

func TestOptionsOfIDs(t *testing.T) {
	h := RequestIDs(WithIDHeader("x-correlation-id"))(write(""))
	if got := ask(h, "GET", "/", "X-Correlation-Id", "a", "X-Request-Id", "b").Header().Get("X-Correlation-Id"); got != "a" {
		t.Errorf("WithIDHeader: %q", got)
	}
	h = RequestIDs(WithBelievedIDs(func(r *http.Request) bool { return r.Header.Get("Internal") != "" }))(write(""))
	if got := ask(h, "GET", "/", "X-Request-Id", "a", "Traceparent", parent).Header().Get("X-Request-Id"); got == "a" || strings.HasPrefix(got, "4bf9") {
		t.Errorf("WithBelievedIDs takes %q", got)
	}
	if got := ask(h, "GET", "/", "X-Request-Id", "a", "Internal", "1").Header().Get("X-Request-Id"); got != "a" {
		t.Errorf("WithBelievedIDs takes %q, not a", got)
	}
}

// Ids are hex digits, each as often as the others at each place, and none comes twice.
func TestNewIDs(t *testing.T) {
	const n = 20_000
	ids, seen, count := &idSource{}, map[string]bool{}, [idLength]map[byte]int{}
	for range n {
		id := ids.next()
		if len(id) != idLength || seen[id] {
			t.Fatalf("%q", id)
		}
		seen[id] = true
		for i := range len(id) {
			if count[i] == nil {
				count[i] = map[byte]int{}
			}
			count[i][id[i]]++
		}
	}
	for i, digits := range count {
		for _, c := range []byte("0123456789abcdef") {
			if got := digits[c]; got < n/16*3/4 || got > n/16*5/4 { // nine standard deviations
				t.Errorf("%c stands %d times at %d", c, got, i)
			}
		}
	}
	if got := hexDigits(0x0f9a1234); string(binary.LittleEndian.AppendUint64(nil, got)) != "4321a9f0" {
		t.Errorf("%x", got)
	}
}

func TestRequestIDOfACtx(t *testing.T) {
	if id := RequestID(context.Background()); id != "" {
		t.Errorf("%q", id)
	}
	if id := RequestID(task.WithOrigin(context.Background(), "a", "b")); id != "a" {
		t.Errorf("%q", id)
	}
}

// Whatever a caller sends, the id is valid and is the caller's only if it was.
func FuzzRequestID(f *testing.F) {
	for _, s := range []string{"", "a", "a\r\nb: c", "\u202e", strings.Repeat("x", 200), parent} {
		f.Add(s, s, s)
	}
	ids := &idSource{}
	f.Fuzz(func(t *testing.T, id, traceparent, state string) {
		header := http.Header{"X-Request-Id": {id}, "Traceparent": {traceparent}, "Tracestate": {state}}
		sc := traceOf(header)
		got := requestID(header, DefaultIDHeader, sc, ids)
		if !ValidID(got) || ValidID(id) && got != id {
			t.Errorf("%q of %q", got, id)
		}
		slog.New(slog.DiscardHandler).Info(got)
	})
}
