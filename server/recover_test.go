package server

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A panic is one record with its stack, and a 500 of a client that got nothing yet.
func TestPanic(t *testing.T) {
	log := newLines(t)
	reg := prometheus.NewRegistry()
	h := Middleware(log, WithRegisterer(reg))(muxOf(map[string]http.HandlerFunc{
		"GET /panic": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000000") // of the body that does not come
			w.Header().Set("Content-Encoding", "gzip")
			panic(errors.New("no stock"))
		},
		"GET /ring": func(http.ResponseWriter, *http.Request) {
			ring := map[string]any{}
			ring["me"] = ring
			panic(ring)
		},
	}))
	srv := httptest.NewServer(h)
	for _, path := range []string{"/panic", "/ring"} {
		req, _ := http.NewRequest("GET", srv.URL+path, nil)
		req.Header.Set("X-Request-Id", "r-1")
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.StatusCode != 500 || res.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), `"request_id":"r-1"`) ||
			strings.Contains(string(body), "stock") || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%d %v %s", res.StatusCode, res.Header, body)
		}
	}
	srv.Close()
	all := log.all(t, "panic in a handler")
	if len(all) != 2 || all[0]["panic"] != "no stock" || all[0]["level"] != "ERROR" || all[0]["job_id"] != "r-1" ||
		!strings.Contains(all[0]["stack"].(string), "recover_test.go") {
		t.Errorf("%v", all)
	}
	if line := log.last(t); line["status"] != 500.0 || line["aborted"] != nil {
		t.Errorf("%v", line)
	}
	if got := sum(t, reg, metricPanics); got != 2 {
		t.Errorf("%v panics are counted", got)
	}
}

// A part of a response must not look like the whole: the connection is cut.
func TestPanicInTheMiddleOfAResponse(t *testing.T) {
	for name, h2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		log := newLines(t)
		srv := httptest.NewUnstartedServer(Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "part")
			_ = http.NewResponseController(w).Flush()
			panic("no stock")
		})))
		srv.EnableHTTP2 = h2
		srv.StartTLS()
		res, err := srv.Client().Get(srv.URL)
		if err == nil {
			_, err = io.ReadAll(res.Body)
			res.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: the client takes the part for the whole", name)
		}
		srv.Close()
		if line := log.last(t); len(log.all(t, "panic in a handler")) != 1 || line["aborted"] != "handler" {
			t.Errorf("%s: %v", name, log.all(t, ""))
		}
	}
}

// A proxy's http.ErrAbortHandler was logged as a panic, and answered with a 500.
func TestErrAbortHandlerPassesThrough(t *testing.T) {
	log := newLines(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, _ := w.(http.Hijacker).Hijack()
		_, _ = rw.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart")
		_ = rw.Flush()
		conn.Close()
	}))
	target, _ := url.Parse(upstream.URL)
	proxy := httputil.NewSingleHostReverseProxy(target)
	var passed any
	h := Middleware(log)(proxy)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			passed = recover()
			panic(passed)
		}()
		h.ServeHTTP(w, r)
	}))
	res, err := http.Get(srv.URL)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	srv.Close()
	upstream.Close()
	if err == nil || passed != http.ErrAbortHandler {
		t.Errorf("%v passed through, the client got %v", passed, err)
	}
	if len(log.all(t, "panic in a handler")) != 0 || log.last(t)["aborted"] != "handler" {
		t.Errorf("%v", log.all(t, ""))
	}
}

// A handler that hijacked, panicked: nothing may be written into its connection.
func TestPanicAfterAHijack(t *testing.T) {
	log := newLines(t)
	ended := make(chan struct{}) // the server does not wait for who has hijacked
	h := Middleware(log)(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, rw, _ := w.(http.Hijacker).Hijack()
		defer conn.Close()
		_, _ = rw.WriteString("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		_ = rw.Flush()
		panic("late")
	}))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		h.ServeHTTP(w, r)
	}))
	res, err := http.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(bufio.NewReader(res.Body))
	res.Body.Close()
	srv.Close()
	<-ended
	if res.StatusCode != 204 || len(rest) != 0 || len(log.all(t, "panic in a handler")) != 1 {
		t.Errorf("%d %q %v", res.StatusCode, rest, log.all(t, ""))
	}
}

// runtime.Goexit, as a failing test calls it, ends a handler too: the place is given
// back and there is a line.
func TestGoexit(t *testing.T) {
	log := newLines(t)
	l, err := NewLimiter(Limits{})
	if err != nil {
		t.Fatal(err)
	}
	h := Middleware(log, WithLimiter(l))(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { runtime.Goexit() }))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		ask(h, "GET", "/")
	}()
	<-ended
	if line := log.last(t); line["aborted"] != "handler" || l.Stats().InFlight != 0 {
		t.Errorf("%v, %+v", line, l.Stats())
	}
}

// Without the piece a panic goes on, and is counted and logged as a request.
func TestWithoutRecover(t *testing.T) {
	log := newLines(t)
	defer func() {
		if v := recover(); v != "x" || log.last(t)["status"] != 500.0 {
			t.Errorf("%v", v)
		}
	}()
	ask(AccessLog(log)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") })), "GET", "/")
}
