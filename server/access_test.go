package server

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/parts"
)

func TestAccessLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLines(t)
		h := Middleware(log)(muxOf(map[string]http.HandlerFunc{
			"POST /orders/{id}/items": func(w http.ResponseWriter, _ *http.Request) {
				time.Sleep(1500 * time.Millisecond)
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, "created")
			},
			"GET example.com/{$}": write(""),
			"/rest/":              write(""),
			"GET /fail":           func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
			"GET /livez":          write(""),
			"GET /readyz":         func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		}))
		for _, c := range []struct {
			method, target string
			want           map[string]any
		}{
			{"POST", "/orders/17/items?token=secret", map[string]any{"level": "INFO", "method": "POST", "route": "/orders/{id}/items",
				"status": 201.0, "bytes": 7.0, "duration": "1.5s", "request_id": nil, "job_id": "r", "job_name": "POST /orders/{id}/items",
				"remote": "192.0.2.1", "aborted": nil, "path": nil, "shed": nil, "sampled": nil, "logger": "server"}},
			{"GET", "http://example.com/", map[string]any{"route": "/{$}", "status": 200.0}},
			{"PATCH", "/rest/a/b", map[string]any{"route": "/rest/", "job_name": "PATCH /rest/"}},
			{"GET", "/fail", map[string]any{"level": "ERROR", "status": 502.0}},
			{"GET", "/readyz", map[string]any{"level": "ERROR", "status": 503.0}},
			{"GET", "/nothing/here?a=b", map[string]any{"level": "INFO", "route": "", "status": 404.0, "path": "/nothing/here", "job_name": "GET"}},
			{"DELETE", "/orders/17/items", map[string]any{"route": "", "status": 405.0}},
			{"PROPFIND", "/rest/", map[string]any{"method": "PROPFIND", "job_name": "HTTP /rest/"}},
			{strings.Repeat("M", 1<<16), "/rest/", map[string]any{"method": strings.Repeat("M", 29) + "…"}},
			{"GET", "/" + strings.Repeat("x", 1<<16), map[string]any{"path": "/" + strings.Repeat("x", 252) + "…"}},
			{"GET", "/a%0a%E2%80%AEb", map[string]any{"path": "/a\uFFFD\uFFFDb"}},
		} {
			ask(h, c.method, c.target, "X-Request-Id", "r")
			line := log.last(t)
			for k, v := range c.want {
				got := line[k]
				if k == "duration" { // the form of the log
					got = time.Duration(line[k].(float64)).String()
				}
				if got != v {
					t.Errorf("%.20s %.30s: %s = %.300v, want %v", c.method, c.target, k, got, v)
				}
			}
			if strings.Contains(log.buf.String(), "secret") {
				t.Fatal("the query is in the log")
			}
		}
		n := len(log.all(t, "request"))
		ask(h, "GET", "/livez")
		if len(log.all(t, "request")) != n {
			t.Error("a probe that went well has a line")
		}
	})
}

func TestOptionsOfTheAccessLog(t *testing.T) {
	log := newLines(t)
	var got *Access
	h := AccessLog(log, WithLevel(func(a *Access) slog.Level {
		got = a
		if a.Status == 404 {
			return NoLine
		}
		return slog.LevelWarn
	}))(muxOf(map[string]http.HandlerFunc{"GET /a": write("abc")}))
	ask(h, "GET", "/a")
	want := &Access{Request: got.Request, Method: "GET", Route: "/a", Status: 200, Bytes: 3, Duration: got.Duration}
	if !reflect.DeepEqual(got, want) || got.Duration <= 0 || log.last(t)["level"] != "WARN" {
		t.Errorf("WithLevel: %+v", got)
	}
	if ask(h, "GET", "/b"); len(log.all(t, "request")) != 1 {
		t.Error("NoLine is written")
	}

	log = newLines(t)
	h = AccessLog(log, WithSample(10))(muxOf(map[string]http.HandlerFunc{"GET /a": write("abc"),
		"GET /b": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }}))
	for range 100 {
		ask(h, "GET", "/a")
	}
	if all := log.all(t, "request"); len(all) != 10 || all[0]["fields.sampled"] != 10.0 && all[0]["sampled"] != 10.0 {
		t.Errorf("WithSample: %d lines, %v", len(all), all[0])
	}
	if ask(h, "GET", "/b"); log.last(t)["status"] != 500.0 {
		t.Error("WithSample leaves out an error")
	}
	if DefaultLevel(&Access{Status: 200}) != slog.LevelInfo {
		t.Error("DefaultLevel")
	}
}

// A client that goes away is no error of the service: 499, and never a 200 that nobody got.
func TestAborted(t *testing.T) {
	log := newLines(t)
	begun := make(chan struct{})
	srv := httptest.NewServer(Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/part" {
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
		}
		begun <- struct{}{}
		<-r.Context().Done()
	})))
	for path, want := range map[string]float64{"/none": 499, "/part": 200} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-begun
			cancel()
		}()
		req, _ := http.NewRequestWithContext(ctx, "GET", srv.URL+path, nil)
		if res, err := srv.Client().Do(req); err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
		}
		for len(log.all(t, "request")) == 0 || log.last(t)["path"] != path {
			time.Sleep(time.Millisecond) // the server notices it in its own time
		}
		if line := log.last(t); line["status"] != want || line["aborted"] != "client" || line["level"] != "INFO" {
			t.Errorf("%s: %v", path, line)
		}
	}
	srv.Close()
}

// What the stop of the service ends was logged as gone clients, and a handler that gave up
// then had answered an empty 200.
func TestAStopIsNoGoneClient(t *testing.T) {
	for path, want := range map[string]struct {
		status int
		level  string
		body   string
	}{
		"/none": {503, "WARN", "the service stops; try again"}, "/part": {200, "INFO", "part"}, "/own": {500, "ERROR", "own"},
	} {
		log := newLines(t)
		ctx, stop := context.WithCancelCause(t.Context())
		h := Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/part" {
				_, _ = io.WriteString(w, "part")
			}
			stop(parts.ErrStopping)
			<-r.Context().Done()
			if r.URL.Path == "/own" {
				http.Error(w, "own", http.StatusInternalServerError)
			}
		}))
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, "GET", path, nil))
		if w.Code != want.status || !strings.Contains(w.Body.String(), want.body) || (w.Header().Get("Retry-After") != "") != (want.status == 503) {
			t.Errorf("%s: %d %v %s", path, w.Code, w.Header(), w.Body)
		}
		if line := log.last(t); line["aborted"] != "stop" || line["status"] != float64(want.status) || line["level"] != want.level {
			t.Errorf("%s: %v", path, line)
		}
	}
}

// Another log than the chassis' own has no job on its records: the line has the id.
func TestAccessLineInAnotherLog(t *testing.T) {
	var b strings.Builder
	h := Middleware(textSystem{slog.New(slog.NewTextHandler(&b, nil))})(write(""))
	ask(h, "GET", "/", "X-Request-Id", "r-7")
	if !strings.Contains(b.String(), "request_id=r-7") || !strings.Contains(b.String(), "bytes=0") {
		t.Errorf("%s", b.String())
	}
}

// textSystem is a System with a log of its own.
type textSystem struct{ log *slog.Logger }

func (s textSystem) Logger(string) *slog.Logger { return s.log }
