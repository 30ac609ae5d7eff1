package server

import (
	"log/slog"
	"maps"
	"net/http"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/sambatech/chassis/actors/logger"
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
	key     routeKey
	method  string // a member of methods
	pattern string // as the mux has it; "" where nothing matched
	label   string // the pattern from its path on: http.route
	name    string // the job name: "GET /orders/{id}"
	class   int    // of the limit's latencies

	log       slog.Handler // with the attributes that all of its access-log lines share
	line      *logger.Line // of log, with the values of most lines
	observers atomic.Pointer[[]observer]
}

type routeKey struct {
	method  int
	pattern string
}

// routeTable finds routes without a lock: it is copied when one is added.
type routeTable struct {
	all      atomic.Pointer[map[routeKey]*route]
	recent   [32]atomic.Pointer[route]
	mu       sync.Mutex   // of those who add
	newClass func() int   // nil: without a limiter
	log      slog.Handler // nil: without access log
}

// find returns the route of a method and a pattern.
func (t *routeTable) find(method, pattern string) *route {
	key := routeKey{methodIndex(method), pattern}
	// A mux returns the same string for a pattern each time, so its address finds most.
	at := uintptr(unsafe.Pointer(unsafe.StringData(pattern)))
	slot := &t.recent[(at>>4+uintptr(key.method))%uintptr(len(t.recent))]
	if r := slot.Load(); r != nil && r.key == key {
		return r
	}
	if all := t.all.Load(); all != nil {
		if r := (*all)[key]; r != nil {
			slot.Store(r)
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
		r.line = logger.NewLine(r.log, accessMessage, "status", "duration", "bytes", "remote")
	}
	all[key] = r
	t.all.Store(&all)
	return r
}

// overflow is the pattern of all routes past maxRoutes.
const overflow = "/_OTHER"

func newRoute(key routeKey) *route {
	r := &route{key: key, method: methods[key.method], pattern: key.pattern}
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

// usual reports whether the lines of the route need no attribute of their own.
func (r *route) usual() bool { return r.method != otherMethod && r.label != "" }

// muxRoutes returns the pattern that mux will choose for a request. A mux that is a
// handler of another is looked into.
func muxRoutes(mux *http.ServeMux) func(*http.Request) string {
	return func(r *http.Request) string {
		h, pattern := mux.Handler(r)
		pattern = ownPattern(pattern, r.Method, r.URL.Path)
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

// ownPattern returns the pattern that a mux has found. For a CONNECT that net/http redirects
// to the path with a slash it returns "": the mux gives that path there, which a stranger chose.
func ownPattern(pattern, method, asked string) string {
	if method != http.MethodConnect || strings.HasSuffix(asked, "/") ||
		pattern != strings.TrimSuffix(path.Clean("/"+asked), "/")+"/" {
		return pattern
	}
	return ""
}

// maxNested is the number of muxes within one another that are looked into.
const maxNested = 8
