package breaker

import (
	"net/http"
	"sync/atomic"
)

// connLimit is the caller's own limit of connections, MaxConnsPerHost of an
// http.Transport. A request that waits for one of them was not sent: the time it
// waits is not the service's.
type connLimit struct {
	max  int32
	held atomic.Int32 // connections that guarded requests hold, from GotConn to the end of the body
}

// newConnLimit returns the limit of a base, or nil if it has none.
func newConnLimit(base http.RoundTripper) *connLimit {
	if t, ok := base.(*http.Transport); ok && t.MaxConnsPerHost > 0 {
		return &connLimit{max: int32(t.MaxConnsPerHost)}
	}
	return nil
}

// queued reports whether the request has no connection because others hold all
// that the caller allows. While one is still being made, it is not queued. Under the
// mutex, as connect and disconnect.
func (x *exchange) queued() bool {
	e := x.extra
	return e != nil && e.conns != nil && x.attempts == 0 && e.conns.held.Load() >= e.conns.max
}

// connect notes that the request has got a connection.
func (x *exchange) connect() {
	if e := x.extra; e != nil && e.conn == nil && e.conns != nil && x.stage < stageLate {
		e.conn = e.conns
		e.conns.held.Add(1)
	}
}

// disconnect notes that the connection is free again.
func (x *exchange) disconnect() {
	if e := x.extra; e != nil && e.conn != nil {
		e.conn.held.Add(-1)
		e.conn = nil
	}
}
