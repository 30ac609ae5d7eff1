package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/internal/clip"
	"github.com/sambatech/chassis/server/internal/rare"
	"github.com/sambatech/chassis/task"
)

// ErrTimeLimit is the cause (context.Cause) of a request's ctx that has ended by its
// time limit.
var ErrTimeLimit = errors.New("server: the time limit of the request is over")

// Middleware puts all pieces around a handler, in this order from the outside: request
// id, metrics and access log, recovery of panics, shedding, time limit. Metrics need
// [WithRegisterer], shedding [WithShedding], time limits [WithTimeLimit]. A mistake in
// the options is a panic, as in http.ServeMux. sys may be nil: the log is then
// slog.Default().
//
// The middleware sees routes best right before a http.ServeMux; see [WithMux].
func Middleware(sys System, opts ...Option) func(http.Handler) http.Handler {
	return build(sys, config{ids: true, access: true, recovers: true, deadlines: true}, opts)
}

// RequestIDs is the piece that gives each request its id, and its records and tasks
// their job.
func RequestIDs(opts ...Option) func(http.Handler) http.Handler {
	return build(nil, config{ids: true}, opts)
}

// AccessLog is the piece that writes a line for each request.
func AccessLog(sys System, opts ...Option) func(http.Handler) http.Handler {
	return build(sys, config{access: true}, opts)
}

// Metrics is the piece that counts requests on the registry of [WithRegisterer].
func Metrics(opts ...Option) func(http.Handler) http.Handler {
	return build(nil, config{}, opts)
}

// Recover is the piece that survives panics: one is logged with its stack and
// answered with 500. http.ErrAbortHandler passes through.
func Recover(sys System, opts ...Option) func(http.Handler) http.Handler {
	return build(sys, config{recovers: true}, opts)
}

// TimeLimits is the piece that ends the ctx of a request by [WithTimeLimit].
func TimeLimits(opts ...Option) func(http.Handler) http.Handler {
	return build(nil, config{deadlines: true}, opts)
}

// Shed is the piece that bounds the requests that run at once, by l.
func Shed(l *Limiter, opts ...Option) func(http.Handler) http.Handler {
	return build(nil, config{limiter: l}, opts)
}

// build makes what all handlers of one middleware share.
func build(sys System, c config, opts []Option) func(http.Handler) http.Handler {
	c.idHeader = DefaultIDHeader
	c.probe = isProbe
	for _, o := range opts {
		if o != nil {
			o(&c)
		}
	}
	if sys != nil {
		c.log = sys.Logger("server")
	} else {
		c.log = slog.Default()
	}
	c.named = logger.NamesJobs(c.log.Handler())
	if c.limits != nil {
		l, err := NewLimiter(*c.limits)
		if err != nil {
			panic(err)
		}
		c.limiter = l
	}
	p := &shared{config: &c, limiter: c.limiter, ids: &idSource{}}
	if c.registerer != nil {
		if err := p.register(); err != nil {
			panic(err)
		}
	}
	return func(next http.Handler) http.Handler {
		h := &handler{shared: p, next: next, pattern: c.routes, made: time.Now()}
		if c.access {
			h.routes.log = c.log.Handler()
		}
		if mux, ok := next.(*http.ServeMux); ok && h.pattern == nil {
			h.pattern, h.late = muxRoutes(mux), !c.early
		}
		if h.limiter != nil {
			h.routes.newClass = h.limiter.newClass
		}
		return h
	}
}

// shared is what the handlers of one middleware share.
type shared struct {
	config  *config
	metrics *metrics // nil: nothing is counted
	limiter *Limiter // nil: nothing is shed
	ids     *idSource
	lookups sync.Pool // of lookup
	sheds   rare.Line // log lines of requests that were shed
	lines   atomic.Uint64
	advised atomic.Bool
}

func (p *shared) register() error {
	m, err := newMetrics(p.config.registerer)
	if err != nil {
		return fmt.Errorf("server: register the metrics of requests: %w", err)
	}
	p.metrics = m
	if p.limiter == nil {
		return nil
	}
	return p.limiter.Register(p.config.registerer)
}

// handler is the middleware around one handler.
type handler struct {
	*shared
	next    http.Handler
	pattern func(*http.Request) string // nil: known only after the handler has run
	late    bool                       // next is a mux, and nothing needs the pattern before it has set it
	made    time.Time                  // what times in a request count from: a time.Time in each would be larger
	routes  routeTable
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := h.config
	q, room := newRequest(c.ids)
	s := serving{begun: time.Now()}
	q.h, q.r, q.inner = h, r, r
	q.writer.below, q.writer.on = w, q
	q.path, q.pattern = r.URL.Path, r.Pattern
	if r.URL.RawPath != "" {
		q.rawPath = new(r.URL.RawPath)
	}
	if !h.late {
		if h.pattern != nil {
			if p := h.pattern(r); p != "" {
				r.Pattern = p // of an outer mux there may be one already
			}
		}
		q.named.Store(h.routes.find(r.Method, r.Pattern))
	}
	if h.metrics != nil {
		h.metrics.active[methodIndex(r.Method)].Inc()
	}
	defer h.end(q, &s)

	if c.access || h.limiter != nil || c.priority != nil || c.headerPriority != nil {
		q.priority = h.priorityOf(r)
	}
	ctx := h.identify(q, r)
	if q.priority != Normal && q.priority != Probe {
		ctx = WithRequestPriority(ctx, q.priority)
	}
	if c.deadlines && c.timeLimit != nil {
		ctx = h.limitTime(q, &s, ctx)
	}
	if ctx != r.Context() {
		if room == nil {
			room = new(http.Request)
		}
		*room = *r.WithContext(ctx) // on the stack, and copied from there
		q.inner = room
	}
	if h.limiter != nil && q.priority != Probe && !h.admit(q, &s, ctx) {
		q.done = true
		return
	}
	h.next.ServeHTTP(q.writer.front(), q.inner)
	q.done = true
}

// priorityOf returns the priority of a request: of its kind, of the service's
// function, or of its header as far as that is believed.
func (h *handler) priorityOf(r *http.Request) Priority {
	c := h.config
	if c.probe(r) {
		return Probe
	}
	p := Normal
	if c.priority != nil {
		p = c.priority(r)
	}
	if c.headerPriority != nil {
		if v := r.Header[PriorityHeader]; len(v) == 1 {
			if said, ok := parsePriority(v[0]); ok {
				p = min(said, *c.headerPriority)
			}
		}
	}
	return p
}

// identify gives the request its id, and returns the ctx that carries it.
func (h *handler) identify(q *request, r *http.Request) context.Context {
	c, ctx := h.config, r.Context()
	if !c.ids {
		return ctx
	}
	sc := trace.SpanContextFromContext(ctx) // of tracing middleware outside
	var header http.Header
	if c.believeIDs == nil || c.believeIDs(r) {
		header = r.Header
		if !sc.IsValid() {
			if sc = traceOf(header); sc.IsValid() {
				ctx = trace.ContextWithRemoteSpanContext(ctx, sc)
			}
		}
	}
	q.idHeader[0] = requestID(header, c.idHeader, sc, h.ids)
	q.writer.below.Header()[c.idHeader] = q.idHeader[:1:1]
	q.OriginContext = task.OriginContext{Context: ctx, Origin: task.Origin{ID: q.idHeader[0]}, Names: q}
	return &q.OriginContext
}

// limitTime ends the ctx after the time limit of the request, or of its caller.
func (h *handler) limitTime(q *request, s *serving, ctx context.Context) context.Context {
	most := h.config.timeLimit(q.r)
	if most <= 0 {
		return ctx
	}
	if asked := callerTimeout(q.r.Header); asked > 0 && asked < most {
		most = asked
	}
	ctx, s.cancel = context.WithDeadlineCause(ctx, s.begun.Add(most), ErrTimeLimit)
	return ctx
}

// admit asks the limiter for a place, and answers the request if it has none.
func (h *handler) admit(q *request, s *serving, ctx context.Context) bool {
	admitted, waited := h.limiter.acquire(ctx, q.priority)
	if admitted {
		q.holds = true
		if waited {
			s.admitted = time.Since(s.begun)
		}
		return true
	}
	q.shed = true
	q.writer.Header().Set("Retry-After", strconv.FormatInt(int64(h.limiter.RetryAfter()/time.Second), 10))
	problem(&q.writer, q.r, http.StatusServiceUnavailable,
		"the server has as much work as it can do in time; try again later", q.id())
	return false
}

// end is the end of a request, however its handler has ended.
func (h *handler) end(q *request, s *serving) {
	var failure any
	if !q.done && h.config.recovers {
		failure = recover()
	}
	route := h.findRoute(q)
	rethrow := h.recovered(q, failure)
	q.judge()
	h.answerFor(q)
	if s.cancel != nil {
		s.cancel()
	}
	if h.pattern == nil && route.pattern == "" && h.config.access && q.status() < 400 {
		h.advise()
	}
	took := time.Since(s.begun) // reads one clock, where time.Now reads two
	if q.holds {
		now := s.begun.Add(took)
		q.holds = false
		h.limiter.release(route.class, q.sample(s, took), now)
	}
	if h.metrics != nil {
		h.metrics.active[methodIndex(q.r.Method)].Dec()
		h.metrics.observe(route, q.status(), took.Seconds())
	}
	if h.config.access {
		h.line(q, q.inner.Context(), s.begun, took)
	}
	if rethrow != nil {
		panic(rethrow)
	}
}

// answerFor answers where the handler has given up because its ctx has ended. Without
// an answer net/http sends an empty 200.
func (h *handler) answerFor(q *request) {
	switch {
	case q.aborted == byDeadline:
		problem(&q.writer, q.r, http.StatusGatewayTimeout, "the time limit of the request is over", q.id())
	case q.aborted == byStop && q.writer.status == 0:
		q.writer.Header().Set("Retry-After", "1")
		problem(&q.writer, q.r, http.StatusServiceUnavailable, "the service stops; try again", q.id())
	}
}

// recovered logs a panic, and answers it if that is still possible. It returns what
// is to be thrown again: where a part of the response is sent, net/http must cut the
// connection, or the client would take the part for the whole.
func (h *handler) recovered(q *request, failure any) (rethrow any) {
	if failure == nil || failure == http.ErrAbortHandler {
		return failure
	}
	if h.metrics != nil {
		h.metrics.panics.Inc()
	}
	h.config.log.LogAttrs(q.inner.Context(), slog.LevelError, "panic in a handler",
		slog.String("method", clip.Line(q.r.Method, 32)), slog.String("route", q.route().label),
		slog.String("panic", clip.Cut(clip.Panic(failure), clip.Text)),
		slog.Any("stack", logger.Stack(debug.Stack())))
	switch {
	case q.writer.hijacked:
		return nil // the connection is the handler's own
	case q.writer.status != 0:
		return http.ErrAbortHandler
	}
	problem(&q.writer, q.r, http.StatusInternalServerError, "the request has failed; its id is in the log", q.id())
	q.done = true // the response is whole
	return nil
}

// findRoute returns the route of the request. It takes the pattern that the mux has set, or
// the one that was known before; and hands what handlers left in the copy of the request to
// net/http, which removes the files of a form, and to middleware outside.
func (h *handler) findRoute(q *request) *route {
	p := ownPattern(q.inner.Pattern, q.r.Method, q.path)
	if p == "" && h.late {
		p = q.lookUp()
	}
	r := q.route()
	if p != "" || h.late {
		if r == nil || p != r.pattern {
			r = h.routes.find(q.r.Method, p)
			q.named.Store(r)
		}
		q.r.Pattern = p
	}
	if q.r.MultipartForm == nil {
		q.r.MultipartForm = q.inner.MultipartForm
	}
	return r
}

// advise says once how requests get a route.
func (h *handler) advise() {
	if h.advised.CompareAndSwap(false, true) {
		h.config.log.Warn("requests have no route in the log and the metrics: give the middleware the mux with " +
			"server.WithMux, or the router's patterns with server.WithRoutes")
	}
}
