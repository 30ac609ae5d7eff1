package server

import (
	"context"
	"errors"
	"net/http"
	"time"

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
// that names the job and the writer are parts of it. It is not used again for another
// request, because a goroutine of the handler may keep the ctx.
type request struct {
	task.OriginContext
	h      *handler
	r      *http.Request // as it came
	inner  *http.Request // as handlers get it
	cancel context.CancelFunc
	route  *route
	begun  time.Time
	since  time.Duration // from begun until it was admitted
	writer writer

	idHeader [1]string // the value of the id's header
	aborted  string
	priority Priority
	holds    bool // a place of the limiter
	shed     bool
	done     bool // the handler has returned
}

// onHeader is called by the writer at the final header: what comes after it takes as
// long as the client needs to read it.
func (q *request) onHeader() {
	if !q.holds {
		return
	}
	q.writer.header = max(time.Since(q.begun), 1)
	if q.writer.streams() {
		q.onStream()
	}
}

// onStream is called when the response is a stream: it may last for days, and says
// nothing of the load.
func (q *request) onStream() {
	if q.holds {
		q.holds = false
		q.h.limiter.release(q.route.class, 0, time.Now())
	}
}

// status is the status of log and metrics.
func (q *request) status() int {
	switch {
	case q.writer.status != 0:
		return int(q.writer.status)
	case q.aborted == AbortedByClient:
		return statusGone
	case q.aborted == AbortedByHandler:
		return http.StatusInternalServerError
	}
	return http.StatusOK
}

// judge decides whether the response is whole, and if not why.
func (q *request) judge() {
	switch {
	case !q.done:
		q.aborted = AbortedByHandler
	case errors.Is(q.r.Context().Err(), context.Canceled) || q.writer.failed:
		q.aborted = AbortedByClient
	case q.late():
		q.aborted = AbortedByDeadline
	}
}

// late reports whether the handler gave no answer within the time limit.
func (q *request) late() bool {
	return q.writer.status == 0 && errors.Is(context.Cause(q.inner.Context()), ErrTimeLimit)
}

// sample is what the limiter learns of the request: the time to its header, or 0.
// Errors are often quick, and say nothing of the work; a time limit that is over does.
func (q *request) sample(took time.Duration) time.Duration {
	late := q.aborted == AbortedByDeadline
	if !late && (q.aborted != "" || q.status() >= 400) {
		return 0
	}
	if q.writer.header > 0 && !late {
		took = q.writer.header
	}
	return max(took-q.since, 1)
}

// id is the request's id: this middleware's, or that of another one outside.
func (q *request) id() string {
	if q.idHeader[0] != "" {
		return q.idHeader[0]
	}
	return RequestID(q.r.Context())
}

// accessed returns the facts of the request for a function of the service.
func (q *request) accessed(took time.Duration) *Access {
	return &Access{Request: q.r, Method: q.r.Method, Route: q.route.label, Status: q.status(), Bytes: q.writer.bytes,
		Duration: took, ID: q.id(), Aborted: q.aborted, Shed: q.shed, Probe: q.priority == Probe}
}
