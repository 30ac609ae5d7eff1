package server

import (
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/sambatech/chassis/internal/clip"
)

// methods are those of OpenTelemetry's conventions; a method of a stranger's own is
// the last one in labels. Their order is that of the indexes.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE", otherMethod}

const otherMethod = "_OTHER"

// methodIndex returns the place of a method in methods.
func methodIndex(method string) int {
	for i, m := range methods[:len(methods)-1] {
		if m == method {
			return i
		}
	}
	return len(methods) - 1
}

// maxRoutes bounds the routes that are kept apart. A mux has fewer; a function of
// [WithRoutes] that returns paths by mistake would have no end.
const maxRoutes = 1000

// route is what is kept for one method and one pattern.
type route struct {
	method  string // a member of methods
	pattern string // as the mux has it; "" where nothing matched
	label   string // the pattern from its path on: http.route
	name    string // the job name: "GET /orders/{id}"
	class   int    // of the limit's latencies

	log       slog.Handler // with the attributes that all of its access-log lines share
	observers atomic.Pointer[[]observer]
}

type routeKey struct {
	method  int
	pattern string
}

// routeTable finds routes without a lock: it is copied when one is added.
type routeTable struct {
	all      atomic.Pointer[map[routeKey]*route]
	mu       sync.Mutex   // of those who add
	newClass func() int   // nil: without a limiter
	log      slog.Handler // nil: without access log
}

// find returns the route of a method and a pattern.
func (t *routeTable) find(method, pattern string) *route {
	key := routeKey{methodIndex(method), pattern}
	if all := t.all.Load(); all != nil {
		if r := (*all)[key]; r != nil {
			return r
		}
	}
	return t.add(key)
}

func (t *routeTable) add(key routeKey) *route {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := map[routeKey]*route{}
	if all := t.all.Load(); all != nil {
		old = *all
	}
	if (len(old) >= maxRoutes || len(key.pattern) > clip.Name) && key.pattern != overflow {
		key.pattern = overflow
	}
	if r := old[key]; r != nil {
		return r
	}
	all := maps.Clone(old)
	r := newRoute(key)
	if t.newClass != nil {
		r.class = t.newClass()
	}
	if t.log != nil {
		r.log = t.log.WithAttrs([]slog.Attr{slog.String("method", r.method), slog.String("route", r.label)})
	}
	all[key] = r
	t.all.Store(&all)
	return r
}

// overflow is the pattern of all routes past maxRoutes.
const overflow = "/_OTHER"

func newRoute(key routeKey) *route {
	r := &route{method: methods[key.method], pattern: key.pattern}
	if i := strings.IndexByte(key.pattern, '/'); i >= 0 {
		r.label = key.pattern[i:]
	} else {
		r.label = key.pattern
	}
	r.name = r.method
	if r.method == otherMethod {
		r.name = "HTTP" // as OpenTelemetry names a span
	}
	if r.label != "" {
		r.name += " " + r.label
	}
	return r
}

// muxRoutes returns the pattern that mux will choose for a request. A mux that is a
// handler of another is looked into.
func muxRoutes(mux *http.ServeMux) func(*http.Request) string {
	return func(r *http.Request) string {
		h, pattern := mux.Handler(r)
		for range maxNested {
			inner, ok := h.(*http.ServeMux)
			if !ok {
				break
			}
			next, p := inner.Handler(r)
			if p == "" {
				break
			}
			h, pattern = next, p
		}
		return pattern
	}
}

// maxNested is the number of muxes within one another that are looked into.
const maxNested = 8
