package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

// asked counts how often a middleware looks into the mux behind it.
func asked(h http.Handler) *int {
	n, one := new(int), h.(*handler)
	look := one.pattern
	one.pattern = func(r *http.Request) string { *n++; return look(r) }
	return n
}

// A mux sets the pattern by itself: a second look into it is for those that name the job
// before the request has ended, and for what no pattern matches.
func TestTheMuxIsNotAskedTwice(t *testing.T) {
	log := newLines(t)
	h := Middleware(log, WithTimeLimit(time.Minute))(muxOf(map[string]http.HandlerFunc{
		"GET /quiet/{id}": write(""),
		"GET /logs/{id}": func(_ http.ResponseWriter, r *http.Request) {
			for range 3 {
				log.Logger("orders").InfoContext(r.Context(), "inside")
			}
		},
		"GET /panics/{id}": func(http.ResponseWriter, *http.Request) { panic("no stock") },
	}))
	n := asked(h)
	for path, c := range map[string]struct {
		asked int
		job   string
	}{
		"/quiet/1": {0, "GET /quiet/{id}"}, "/logs/1": {1, "GET /logs/{id}"}, "/panics/1": {0, "GET /panics/{id}"}, "/none": {1, "GET"},
	} {
		*n = 0
		before := len(log.all(t, ""))
		ask(h, "GET", path)
		if *n != c.asked {
			t.Errorf("%s: the mux was asked %d times, want %d", path, *n, c.asked)
		}
		for _, line := range log.all(t, "")[before:] {
			if line["job_name"] != c.job {
				t.Errorf("%s: the record %q has the job %q, want %q", path, line["msg"], line["job_name"], c.job)
			}
		}
	}
}

// A function of the service's reads the pattern before the mux has set it.
func TestFunctionsOfTheServiceKnowTheRoute(t *testing.T) {
	var got string
	see := func(r *http.Request) { got = r.Pattern }
	for name, o := range map[string]Option{
		"WithPriority":    WithPriority(func(r *http.Request) Priority { see(r); return High }),
		"WithProbes":      WithProbes(func(r *http.Request) bool { see(r); return false }),
		"WithTimeLimits":  WithTimeLimits(func(r *http.Request) time.Duration { see(r); return time.Minute }),
		"WithBelievedIDs": WithBelievedIDs(func(r *http.Request) bool { see(r); return true }),
		"WithLevel":       WithLevel(func(a *Access) slog.Level { see(a.Request); return slog.LevelInfo }),
	} {
		got = ""
		ask(Middleware(newLines(t), o)(muxOf(map[string]http.HandlerFunc{"GET /orders/{id}": write("")})), "GET", "/orders/1")
		if got != "GET /orders/{id}" {
			t.Errorf("%s sees the pattern %q", name, got)
		}
	}
}

// A handler that rewrites the path of its request, or hands it to another mux, while a
// goroutine of it logs: the job keeps the name of the route.
func TestAHandlerThatChangesItsRequest(t *testing.T) {
	log := newLines(t)
	other := muxOf(map[string]http.HandlerFunc{"GET /v2/{rest...}": write("")})
	var logs sync.WaitGroup
	h := Middleware(log)(muxOf(map[string]http.HandlerFunc{"GET /v1/{id}": func(w http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		logs.Go(func() { log.Logger("orders").InfoContext(ctx, "inside") })
		r.URL.Path = "/v2/" + r.PathValue("id")
		other.ServeHTTP(w, r)
		log.Logger("orders").InfoContext(ctx, "inside")
	}}))
	for range 100 {
		if w := ask(h, "GET", "/v1/7"); w.Code != 200 {
			t.Fatal(w.Code)
		}
		logs.Wait()
	}
	for _, line := range log.all(t, "inside") {
		if name := line["job_name"]; name != "GET /v1/{id}" && name != "GET /v2/{rest...}" { // the latter once it has ended
			t.Fatalf("job_name %q", name)
		}
	}
	if line := log.last(t); line["route"] != "/v2/{rest...}" {
		t.Errorf("%v", line)
	}
}

// net/http redirects a CONNECT to the path with a slash, and gives that path for the
// pattern: a stranger filled the table of routes and the metrics with it.
func TestAPathIsNoRoute(t *testing.T) {
	for name, opts := range map[string][]Option{"late": nil, "early": {WithPriority(func(*http.Request) Priority { return Normal })}} {
		log := newLines(t)
		reg := prometheus.NewRegistry()
		mux := muxOf(map[string]http.HandlerFunc{"/files/{name}/": write("")})
		h := Middleware(log, append(opts, WithRegisterer(reg))...)(mux)
		for i := range 20 {
			ask(h, "CONNECT", fmt.Sprintf("/files/x%d", i))
			ask(h, "CONNECT", fmt.Sprintf("/files//y%d", i))
			ask(h, "GET", fmt.Sprintf("/files/z%d", i))
		}
		ask(h, "CONNECT", "/files/x/")
		if line := log.last(t); line["route"] != "/files/{name}/" {
			t.Errorf("%s: a CONNECT that matches: %v", name, line)
		}
		if n := len(*h.(*handler).routes.all.Load()); n > 3 {
			t.Errorf("%s: %d routes of 1 pattern", name, n)
		}
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
