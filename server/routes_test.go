package server

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
)

type userKey struct{}

// copies is middleware as services have it: it makes a copy of the request, and the
// pattern that the mux sets there is seen by nobody outside.
func copies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, "ann")))
	})
}

func passes(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(w, r) })
}

func TestRoutes(t *testing.T) {
	inner := http.NewServeMux()
	inner.HandleFunc("GET /api/orders/{id}", write(""))
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", write(""))
	mux.Handle("/api/", inner)
	for name, c := range map[string]struct {
		h         func(log *lines) http.Handler
		path      string
		route     string
		job       string // job_name of the records inside; "": as the line's
		warnings  int
		seenAbove string
	}{
		"right before a mux":      {func(l *lines) http.Handler { return Middleware(l)(mux) }, "/orders/1", "/orders/{id}", "", 0, "GET /orders/{id}"},
		"a mux in a mux":          {func(l *lines) http.Handler { return Middleware(l)(mux) }, "/api/orders/1", "/api/orders/{id}", "", 0, "GET /api/orders/{id}"},
		"nothing matches inside":  {func(l *lines) http.Handler { return Middleware(l)(mux) }, "/api/x", "/api/", "", 0, "/api/"},
		"a copy between":          {func(l *lines) http.Handler { return Middleware(l)(copies(mux)) }, "/orders/1", "", "", 1, ""},
		"a copy between, WithMux": {func(l *lines) http.Handler { return Middleware(l, WithMux(mux))(copies(mux)) }, "/orders/1", "/orders/{id}", "", 0, "GET /orders/{id}"},
		"something between":       {func(l *lines) http.Handler { return Middleware(l)(passes(mux)) }, "/orders/1", "/orders/{id}", "", 0, "GET /orders/{id}"},
		"WithRoutes": {func(l *lines) http.Handler {
			return Middleware(l, WithRoutes(func(*http.Request) string { return "/a/:b" }))(write(""))
		}, "/x", "/a/:b", "", 0, "/a/:b"},
		"around one handler alone": {func(l *lines) http.Handler {
			m := http.NewServeMux()
			m.Handle("GET /one", Middleware(l)(write("")))
			return m
		}, "/one", "/one", "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			log := newLines(t)
			var above string
			h := c.h(log)
			outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				h.ServeHTTP(w, r)
				above = r.Pattern
			})
			for range 2 {
				ask(outside, "GET", c.path)
			}
			line := log.last(t)
			name := "GET"
			if c.route != "" {
				name += " " + c.route
			}
			if line["route"] != c.route || line["job_name"] != name {
				t.Errorf("route %q, job_name %q; want %q, %q", line["route"], line["job_name"], c.route, name)
			}
			if c.seenAbove != "" && above != c.seenAbove {
				t.Errorf("middleware outside sees %q, want %q", above, c.seenAbove)
			}
			warned := 0
			for _, l := range log.all(t, "") {
				if l["level"] == "WARN" {
					warned++
				}
			}
			if warned != c.warnings {
				t.Errorf("%d warnings, want %d", warned, c.warnings)
			}
		})
	}
	if n := testing.AllocsPerRun(100, func() { methodIndex("PATCH") }); n != 0 {
		t.Error(n)
	}
	table := &routeTable{}
	table.find("GET", "GET /orders/{id}")
	if n := testing.AllocsPerRun(100, func() { table.find("GET", "GET /orders/{id}") }); n != 0 {
		t.Errorf("a known route costs %v allocations", n)
	}
}

// Requests that have no path must not panic in the look-up.
func TestOddTargets(t *testing.T) {
	log := newLines(t)
	h := Middleware(log)(muxOf(map[string]http.HandlerFunc{"GET /a/{b}": write(""), "/": write("")}))
	for _, c := range []struct{ method, target string }{{"OPTIONS", "*"}, {"CONNECT", "example.com:443"}, {"GET", "//a//b"}, {"GET", "/a/../.."}, {"GET", "/a/%2e%2e/b"}} {
		r := httptest.NewRequest(c.method, "/", nil)
		r.RequestURI = c.target
		if u, err := url.ParseRequestURI(c.target); err == nil {
			r.URL = u
		} else {
			r.URL = &url.URL{Path: c.target}
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if line := log.last(t); line["method"] != c.method {
			t.Errorf("%v", line)
		}
	}
}
