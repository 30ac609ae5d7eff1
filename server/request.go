package server

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/sambatech/chassis/parts"
	"github.com/sambatech/chassis/task"
)

// noParent is a ctx for calls that want one and use nothing of it.
var noParent = context.Background()

// RequestID returns the id of the request or the job that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	origin, _ := task.OriginOf(ctx)
	return origin.ID
}

// request is what the middleware keeps of one request. It is one allocation: the ctx
// that names the job, the writer and the copy are parts of it. It is not used again for another
// request, because a goroutine of the handler may keep the ctx.
type request struct {
	task.OriginContext
	h       *handler
	r       *http.Request         // as it came
	inner   *http.Request         // as handlers get it
	named   atomic.Pointer[route] // nil while only the mux knows it
	path    string                // of the URL, as it came: a handler may change the URL that its copy shares
	rawPath *string               // of the URL, as it came; nil for most
	pattern string                // of a mux outside, as it came
	writer  writer

	idHeader [1]string // the value of the id's header
	aborted  aborted
	priority Priority
	holds    bool // a place of the limiter
	shed     bool
	done     bool // the handler has returned
}

// serving is what only the goroutine that serves a request has of it, on its stack.
type serving struct {
	begun    time.Time
	admitted time.Duration // from begun on
	cancel   context.CancelFunc
}

// newRequest returns a request and, if it will have a ctx of its own, the room for its copy. Both have 512 bytes: a
// byte more is 64 more for the collector, the main cost of a request.
func newRequest(copied bool) (*request, *http.Request) {
	if !copied {
		return &request{}, nil
	}
	both := &struct {
		request
		room http.Request
	}{}
	return &both.request, &both.room
}

// JobName implements [task.Namer]. A mux sets the pattern in the request that handlers get,
// so what logs nothing and sends nothing needs no second look into the mux.
func (q *request) JobName() string {
	r := q.named.Load()
	if r == nil {
		r = q.h.routes.find(q.r.Method, q.lookUp())
		q.named.CompareAndSwap(nil, r)
	}
	return r.name
}

// lookUp asks the mux for the pattern of the request.
func (q *request) lookUp() string {
	l, _ := q.h.lookups.Get().(*lookup)
	if l == nil {
		l = &lookup{}
		l.request.URL = &l.url
	}
	l.request.Method, l.request.Host = q.r.Method, q.r.Host
	l.url.Path, l.url.RawPath = q.path, ""
	if q.rawPath != nil {
		l.url.RawPath = *q.rawPath
	}
	p := q.h.pattern(&l.request)
	q.h.lookups.Put(l)
	return cmp.Or(p, q.pattern)
}

// lookup is a request that asks a mux, and nothing else.
type lookup struct {
	request http.Request
	url     url.URL
}

// onHeader is called by the writer at the final header: what comes after it takes as
// long as the client needs to read it.
func (q *request) onHeader() {
	if !q.holds {
		return
	}
	q.writer.header = time.Since(q.h.made) + 1 // not 0, at once in simulated time too
	if q.writer.streams() {
		q.onStream()
	}
}

// onStream is called when the response is a stream: it may last for days, and says
// nothing of the load.
func (q *request) onStream() {
	if q.holds {
		q.holds = false
		q.h.limiter.release(0, 0, time.Now()) // of no class, for it has no sample
	}
}

// status is the status of log and metrics.
func (q *request) status() int {
	switch {
	case q.writer.status != 0:
		return int(q.writer.status)
	case q.aborted == byClient:
		return statusGone
	case q.aborted == byHandler:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// judge decides whether the response is whole, and if not why.
func (q *request) judge() {
	ended := q.r.Context().Err()
	switch {
	case !q.done:
		q.aborted = byHandler
	case ended != nil && context.Cause(q.r.Context()) == parts.ErrStopping:
		q.aborted = byStop
	case errors.Is(ended, context.Canceled) || q.writer.failed:
		q.aborted = byClient
	case q.late():
		q.aborted = byDeadline
	}
}

// late reports whether the handler gave no answer within the time limit.
func (q *request) late() bool {
	return q.writer.status == 0 && errors.Is(context.Cause(q.inner.Context()), ErrTimeLimit)
}

// sample is what the limiter learns of the request: the time to its header, or 0.
// Errors are often quick, and say nothing of the work; a time limit that is over does.
func (q *request) sample(s *serving, took time.Duration) time.Duration {
	late := q.aborted == byDeadline
	if !late && (q.aborted != whole || q.status() >= 400) {
		return 0
	}
	if q.writer.header > 0 && !late {
		took = q.writer.header - 1 - s.begun.Sub(q.h.made)
	}
	return max(took-s.admitted, 1)
}

// route is the route of the request: nil before the middleware or a record wants it.
func (q *request) route() *route { return q.named.Load() }

// id is the request's id: this middleware's, or that of another one outside.
func (q *request) id() string {
	if q.idHeader[0] != "" {
		return q.idHeader[0]
	}
	return RequestID(q.r.Context())
}

// accessed returns the facts of the request for a function of the service.
func (q *request) accessed(took time.Duration) *Access {
	return &Access{Request: q.r, Method: q.r.Method, Route: q.route().label, Status: q.status(), Bytes: q.writer.bytes,
		Duration: took, ID: q.id(), Aborted: q.aborted.String(), Shed: q.shed, Probe: q.priority == Probe}
}
