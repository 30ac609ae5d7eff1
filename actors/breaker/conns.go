package breaker

import (
	"maps"
	"net/http"
	"sync"
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

// connLimits are the limits of the hosts that redirects lead to, by service: a
// base counts each host apart. The zero value is ready to use.
type connLimits struct {
	mu sync.Mutex
	by map[string]*connLimit
}

// connLimitsMost is the number of hosts beyond which those without a connection
// are forgotten: an upstream chooses where its redirects lead.
const connLimitsMost = 64

// of returns the limit of a service, or nil if base has none.
func (l *connLimits) of(service string, base http.RoundTripper) *connLimit {
	fresh := newConnLimit(base)
	if fresh == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if known := l.by[service]; known != nil {
		return known
	}
	if l.by == nil {
		l.by = map[string]*connLimit{}
	}
	if len(l.by) >= connLimitsMost {
		maps.DeleteFunc(l.by, func(_ string, c *connLimit) bool { return c.held.Load() == 0 })
	}
	l.by[service] = fresh
	return fresh
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
	x.depart()
	if e := x.extra; e != nil && e.conn != nil {
		e.conn.held.Add(-1)
		e.conn = nil
	}
}
