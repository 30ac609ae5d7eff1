package breaker

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client returns a new http.Client over [Breaker.Transport] of
// http.DefaultTransport. It follows redirects by [Breaker.CheckRedirect]. With an option
// that is wrong each request fails with what is wrong with it.
func (b *Breaker) Client(opts ...ClientOption) *http.Client {
	return &http.Client{Transport: b.Transport(nil, opts...), CheckRedirect: b.CheckRedirect}
}

// Transport guards base (nil for http.DefaultTransport): every request to the
// breaker's service is a call to its URL's path; requests to other services,
// like one that a redirect leads to, are guarded by their own breaker where
// [WithFinder] knows one, and else pass through unguarded.
//
// A refusal is an [*OpenError] (within the *url.Error of an http.Client). A
// status in fail_status is a failure. A response with another status is watched
// while its body is read: a body that breaks off or is reset is a failure when that
// happens. A Close before the end is a success, unless another goroutine waits in
// Read; that and the cancellation of the request's ctx are neutral, and so is a
// request that net/http does not send, or with a body that fails by itself.
// [WithBodyPeek] is for what is a failure by its body.
//
// The service has failed too when it keeps the caller waiting for longer than
// its patience, which is request_timeout unless [Breaker.Patience] has another: for the
// headers, from when the request is written or the last piece of its body was read, and
// for each piece of the body, while the caller waits in Read. Between the
// events of text/event-stream there is no limit. The ctx that base sees ends
// then with the cause [ErrTimeout]. Where the caller's own deadline decides,
// base sees the request itself; else it sees a copy, and the request is not
// changed.
func (b *Breaker) Transport(base http.RoundTripper, opts ...ClientOption) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &transport{b: b, base: base, conns: newConnLimit(base)}
	return t.withOptions(opts)
}

type transport struct {
	b      *Breaker
	base   http.RoundTripper
	conns  *connLimit // nil if base has no limit of connections
	others connLimits // of the hosts of redirects
}

// guarding returns the transport of redirects to another breaker's host, over the
// same base. It is not kept: a breaker that a transport holds is never forgotten.
func (t *transport) guarding(other *Breaker) *transport {
	base := t.base
	if g, ok := base.(*balancer); ok {
		base = g.base
	}
	return &transport{b: other, base: base, conns: t.others.of(other.service, base)}
}

// CloseIdleConnections lets http.Client.CloseIdleConnections reach the base.
func (t *transport) CloseIdleConnections() {
	if base, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	b := t.b
	if req.URL == nil || !b.serves(req.URL) {
		if other := b.guardOf(req.URL); other != nil {
			return t.guarding(other).RoundTrip(req)
		}
		return t.base.RoundTrip(req)
	}
	ctx := req.Context()
	var span *callSpan
	if v := b.live(); v.gate == viewTraced {
		ctx, span = b.startSpan(ctx, v)
	}
	var permit Permit
	err := ctx.Err()
	if err == nil {
		if permit, err = b.AcquireTimed(ctx, pathOf(req.URL)); err != nil {
			span.refused(err)
			if errors.Is(err, ErrOpen) {
				b.counted().refused.Add(1)
			}
		}
	}
	if err != nil {
		span.end(err)
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper always closes the body
		}
		return nil, err
	}
	span.admitted(&permit)
	if permit.Probe() {
		t.renew()
	}
	set := b.view.Load().set
	x, inner := newExchange(ctx, req, &permit, span, set, t.conns)
	over := false
	defer func() {
		if !over { // base, or a function of the caller's, panicked
			x.span.failed(ended{})
			x.end(Failure, 0)
		}
	}()
	resp, err := t.base.RoundTrip(inner)
	if resp == nil && err == nil {
		err = errNoResponse
	}
	if late := x.arrive(stageJudging); late && err == nil {
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		resp, err = nil, ErrTimeout
	}
	if resp != nil && resp.Request == inner {
		resp.Request = req
	}
	if err != nil {
		err = x.fail(err, req)
	} else {
		x.respond(resp, set)
	}
	over = true
	return resp, err
}

// errNoResponse is the fault of a base that breaks the contract of http.RoundTripper.
var errNoResponse = errors.New("circuit breaker: the base transport returned neither a response nor an error")

// respond judges the headers, and sees to it that the body is watched.
func (x *exchange) respond(resp *http.Response, set *config) {
	b := x.b
	verdict := Success
	if set.fails(resp.StatusCode) {
		verdict = Failure
	}
	x.span.status(resp.StatusCode)
	x.answered(resp.StatusCode)
	empty := resp.Body == nil || resp.Body == http.NoBody
	conn, writable := resp.Body.(io.ReadWriteCloser)
	upgrade := writable && resp.StatusCode == http.StatusSwitchingProtocols
	if b.rules != nil && b.rules.classify != nil {
		peek := b.peekAt(resp, verdict)
		switch {
		case peek == nil:
			verdict = b.rules.classify(Outcome{Response: resp, Default: verdict})
		case empty || upgrade:
			verdict = b.rules.classify(Outcome{Response: peek.res, Body: peek.seen, Whole: empty, Default: verdict})
		default:
			verdict = Success
			x.peek.Store(peek)
		}
	}
	hold := time.Duration(0)
	if verdict == Failure {
		hold = retryAfter(resp.Header)
	}
	if empty {
		x.end(verdict, hold)
		return
	}
	if upgrade {
		x.settle(verdict, hold) // an upgraded connection is the caller's own
		resp.Body = upgraded{conn, x}
		return
	}
	if verdict == Success && isEventStream(resp) {
		x.streams()
	}
	late := x.judged()
	if verdict != Success {
		x.settle(verdict, hold)
	} else if late {
		x.settle(x.look(nil, false, true))
	}
	x.reader, x.left = resp.Body, resp.ContentLength
	resp.Body = (*body)(x)
	if writable {
		resp.Body = writableBody{(*body)(x), conn}
	}
}

// answered notes how long the headers took, and whether the service is too busy.
func (x *exchange) answered(status int) {
	if x.b.limit == nil {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.permit.placed || x.outcome == settled {
		return
	}
	x.permit.busy = status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if x.permit.busy || status < http.StatusInternalServerError {
		x.permit.answered(x.b.now())
	}
	x.permit.sampled = false
}

// judged ends the judging of the headers, and reports whether the time of a probe
// has passed.
func (x *exchange) judged() (late bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.stage == stageJudging {
		x.stage = stagePaused
	}
	return x.outcome == overdue
}

// streams lets the next piece of the body take as long as it likes, unless a
// patience was given for the call or its path.
func (x *exchange) streams() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.source == fromCaller {
		return
	}
	x.patience = 0
	x.permit.unwatch()
	if e := x.extra; e != nil && e.half != 0 {
		e.half = 1 // its first event shows enough
	}
}

// isEventStream reports whether a response is of server-sent events.
func isEventStream(resp *http.Response) bool {
	for _, v := range resp.Header["Content-Type"] {
		kind, _, _ := strings.Cut(v, ";")
		if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
			return true
		}
	}
	return false
}

// serves says whether a URL is of the breaker's service.
func (b *Breaker) serves(u *url.URL) bool {
	if u.Scheme == b.scheme() && u.Host == b.host() {
		return true
	}
	return strings.EqualFold(u.Scheme, b.scheme()) && canonicalHost(b.scheme(), u.Host) == b.host()
}

// pathOf returns the path as it is sent: %2F is no separator.
func pathOf(u *url.URL) string {
	if u.RawPath != "" {
		return u.EscapedPath()
	}
	return u.Path
}

// retryAfter reads the header as RFC 9110, section 10.2.3: seconds or a date. More seconds
// than a duration holds are the most there are, about 68 years.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if secs, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31); err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(secs) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
