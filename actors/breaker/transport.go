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
// http.DefaultTransport. It follows redirects by [Breaker.CheckRedirect].
func (b *Breaker) Client() *http.Client {
	return &http.Client{Transport: b.Transport(nil), CheckRedirect: b.CheckRedirect}
}

// Transport guards base (nil for http.DefaultTransport): every request to the
// breaker's service is a call to its URL's path; requests to other services,
// such as one that a redirect leads to, are guarded by their own breaker where
// [WithFinder] knows one, and else pass through unguarded.
//
// A refusal is an [*OpenError] (within the *url.Error of an http.Client). A
// status in fail_status is a failure, and a response with another is watched to
// the end of its body: a truncated or reset body, and one that stalls for
// request_timeout while the caller reads, is a failure when it happens. Close
// before the end is neutral, as is the cancellation of the request's ctx.
// The request is not changed. The ctx that base sees ends, with the cause
// [ErrTimeout], when the headers take longer than request_timeout. Where the
// deadline of the caller's own ctx is nearer than that, base sees the request
// itself, and there is no clock but the caller's. What is a failure by its body
// is for [WithBodyPeek].
func (b *Breaker) Transport(base http.RoundTripper) http.RoundTripper {
	if base == nil {
		base = http.DefaultTransport
	}
	return &transport{b, base}
}

type transport struct {
	b    *Breaker
	base http.RoundTripper
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
			return (&transport{other, t.base}).RoundTrip(req)
		}
		return t.base.RoundTrip(req)
	}
	ctx := req.Context()
	var span *callSpan
	if v := b.view.Load(); v.gate == viewTraced {
		ctx, span = b.startSpan(ctx, v)
	}
	var permit Permit
	err := ctx.Err()
	if err == nil {
		if permit, err = b.Acquire(pathOf(req.URL)); err != nil {
			span.refused(err)
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
	set := b.view.Load().set
	x, inner := newExchange(ctx, req, &permit, span, set)
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
	if late := x.pause(); late && err == nil {
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		resp, err = nil, ErrTimeout
	}
	if resp != nil && resp.Request == inner {
		resp.Request = req
	}
	if err != nil {
		err = x.fail(err)
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
	none := resp.Body == nil || resp.Body == http.NoBody
	conn, writable := resp.Body.(io.ReadWriteCloser)
	upgrade := writable && resp.StatusCode == http.StatusSwitchingProtocols
	if b.rules != nil {
		peek := b.peekAt(resp, verdict)
		switch {
		case peek == nil:
			verdict = b.rules.classify(Outcome{Response: resp, Default: verdict})
		case none || upgrade:
			verdict = b.rules.classify(Outcome{Response: peek.res, Body: peek.seen, Whole: none, Default: verdict})
		default:
			verdict, x.peek, x.shows = Success, peek, true
		}
	}
	hold := time.Duration(0)
	if verdict == Failure {
		hold = retryAfter(resp.Header)
	}
	if none {
		x.end(verdict, hold)
		return
	}
	if upgrade {
		x.settle(verdict, hold) // an upgraded connection is the caller's own
		resp.Body = upgraded{conn, x}
		return
	}
	if verdict != Success {
		x.settle(verdict, hold)
	}
	x.reader, x.left = resp.Body, resp.ContentLength
	resp.Body = (*body)(x)
	if writable {
		resp.Body = writableBody{(*body)(x), conn}
	}
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

// retryAfter reads the header as RFC 9110, section 10.2.3: seconds or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if v == "" {
		return 0
	}
	if secs, err := strconv.ParseUint(strings.TrimSpace(v), 10, 31); err == nil {
		return time.Duration(secs) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
