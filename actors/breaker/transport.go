package breaker

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client returns a new http.Client over [Breaker.Transport] of
// http.DefaultTransport.
func (b *Breaker) Client() *http.Client { return &http.Client{Transport: b.Transport(nil)} }

// Transport guards base (nil for http.DefaultTransport): every request to the
// breaker's service is a call to its URL's path; requests to other services,
// such as one that a redirect leads to, pass through unguarded.
//
// A refusal is an [*OpenError] (within the *url.Error of an http.Client). A
// status in fail_status is a failure, and a response with another is watched to
// the end of its body: a truncated or reset body, and one that stalls for
// request_timeout while the caller reads, is a failure when it happens. Close
// before the end is neutral, as is the cancellation of the request's ctx.
// The request is not changed. The ctx that base sees ends, with the cause
// [ErrTimeout], when the headers take longer than request_timeout.
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
		return t.base.RoundTrip(req)
	}
	x := &exchange{b: b, parent: req.Context()}
	if v := b.view.Load(); v.gate == viewTraced {
		x.parent, x.span = b.startSpan(x.parent, v)
	}
	err := x.parent.Err()
	if err == nil {
		if x.permit, err = b.Acquire(pathOf(req.URL)); err != nil {
			x.span.refused(err)
		}
	}
	if err != nil {
		x.span.end(err)
		if req.Body != nil {
			_ = req.Body.Close() // a RoundTripper always closes the body
		}
		return nil, err
	}
	x.span.admitted(&x.permit)
	set := b.view.Load().set
	x.patience = set.RequestTimeout
	if x.permit.Probe() {
		x.patience = min(x.patience, set.ProbeTimeout)
		x.half = x.permit.begun + int64(set.ProbeTimeout)/2
	}
	over := false
	defer func() {
		if !over { // base panicked
			x.span.failed(ended{})
			x.end(Failure, 0)
		}
	}()
	inner := req.WithContext(x)
	resp, err := t.base.RoundTrip(inner)
	over = true
	if resp != nil && resp.Request == inner {
		resp.Request = req
	}
	if late := x.pause(); late && err == nil {
		if resp.Body != nil {
			_ = resp.Body.Close()
		}
		resp, err = nil, ErrTimeout
	}
	if err != nil {
		return resp, x.fail(err)
	}
	x.respond(resp, set)
	return resp, nil
}

// respond judges the headers, and sees to it that the body is watched.
func (x *exchange) respond(resp *http.Response, set *config) {
	b := x.b
	verdict := Success
	if set.fails(resp.StatusCode) {
		verdict = Failure
	}
	x.span.status(resp.StatusCode)
	if b.classifier != nil {
		verdict = b.classifier(Outcome{Response: resp, Default: verdict})
	}
	hold := time.Duration(0)
	if verdict == Failure {
		hold = retryAfter(resp.Header)
	}
	if resp.Body == nil || resp.Body == http.NoBody {
		x.end(verdict, hold)
		return
	}
	conn, writable := resp.Body.(io.ReadWriteCloser)
	if writable && resp.StatusCode == http.StatusSwitchingProtocols {
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
