package breaker

import (
	"fmt"
	"hash/maphash"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
)

// balancer is the base of a transport with [EjectOutliers]: it sends each request to one
// of the addresses of the service. Each address has an http.Transport of its own, a copy of
// the base, so that its connections are kept apart, those of HTTP/2 too.
type balancer struct {
	b    *Breaker
	set  OutlierPolicy
	base *http.Transport
	host string // without port
	port uint16
	seed maphash.Seed
	all  *connLimit // of the connections of the base itself, by a proxy; nil if it has none

	routes  atomic.Pointer[routes] // nil before the first lookup
	drained atomic.Uint64          // the change of states up to which connections were closed

	mu      sync.Mutex // guards what follows
	lookup  *lookup    // under way, or nil
	transes map[netip.AddrPort]*connections
}

// routes are the addresses that requests go to. They are never changed.
type routes struct {
	at   int64 // when they were looked up, ns
	list []*route
}

// route is the way of one balancer to an address.
type route struct {
	*address
	*connections
}

// connections are those of one balancer to one address.
type connections struct {
	transport *http.Transport
	limit     *connLimit // nil if the base has none
	named     int64      // when a lookup named the address last, ns; under the balancer's mutex
}

// balance returns the base that spreads the requests of a transport with the policy.
func (b *Breaker) balance(base http.RoundTripper, set OutlierPolicy) (*balancer, error) {
	fail := func(why string) (*balancer, error) {
		return nil, fmt.Errorf("breaker: EjectOutliers of %s: %s", b.service, why)
	}
	tr, ok := base.(*http.Transport)
	if !ok {
		return fail(fmt.Sprintf("the base is a %T: want an *http.Transport; wrap what Transport returns instead",
			base))
	}
	//nolint:staticcheck // DialTLS is deprecated, and still in use
	if b.scheme() == "https" && (tr.DialTLSContext != nil || tr.DialTLS != nil) {
		return fail("the base has a DialTLSContext, which needs the name: want DialContext and TLSClientConfig")
	}
	probe := tr.Clone()
	if probe.TLSNextProto["h2"] != nil {
		return fail("the base has its HTTP/2 by golang.org/x/net/http2, which knows one connection for the name: " +
			"want http.Transport.HTTP2 and Protocols")
	}
	u, err := url.Parse(b.service)
	if err != nil {
		return fail(err.Error())
	}
	port := 80
	if u.Scheme == "https" {
		port = 443
	}
	if p := u.Port(); p != "" {
		if port, err = strconv.Atoi(p); err != nil || port < 0 || port > 0xffff {
			return fail("its port " + p + " cannot be used")
		}
	}
	g := &balancer{b: b, set: set, base: tr, host: u.Hostname(), port: uint16(port), seed: maphash.MakeSeed(),
		all:     newConnLimit(tr),
		transes: map[netip.AddrPort]*connections{}}
	return b.addressed().shared(g), nil
}

// shared returns the balancer of the same base and policy if there is one: a program that
// makes a client for each request has one set of connections.
func (a *addresses) shared(g *balancer) *balancer {
	a.mu.Lock()
	defer a.mu.Unlock()
	same := func(x, y OutlierPolicy) bool {
		if x.Resolver != nil || y.Resolver != nil {
			return false
		}
		return x == y
	}
	for _, have := range a.balancers {
		if have.base == g.base && same(have.set, g.set) {
			return have
		}
	}
	if len(a.balancers) < mostBalancers && g.set.Resolver == nil {
		a.balancers = append(a.balancers, g)
	}
	return g
}

// CloseIdleConnections closes those to all addresses, and those of the base.
func (g *balancer) CloseIdleConnections() {
	g.base.CloseIdleConnections()
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.transes {
		c.transport.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper. Requests of other services, which redirects
// lead to, and those by a proxy go by the base.
func (g *balancer) RoundTrip(req *http.Request) (*http.Response, error) {
	x, ok := req.Context().(*exchange)
	if !ok || x.b != g.b {
		return g.base.RoundTrip(req)
	}
	if g.base.Proxy != nil {
		if by, err := g.base.Proxy(req); by != nil || err != nil {
			x.through(nil, g.all, 0)
			return g.base.RoundTrip(req)
		}
	}
	rs, err := g.current(req.Context())
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	g.drain(rs)
	tried, _ := req.Context().Value(triedKey{}).(*tried)
	var own []*address // that this request could not reach
	body := unsentOf(req)
	for {
		r, mark := g.pick(rs, req, func(a *address) bool { return slices.Contains(own, a) || tried.has(a) })
		if r == nil || slices.Contains(own, r.address) { // all were tried
			body.giveUp()
			return nil, err
		}
		tried.add(r.address)
		if mark != 0 && r.inFlight.Load() == 0 {
			r.transport.CloseIdleConnections() // what is kept is from before
		}
		x.through(r, r.limit, mark)
		out := req
		if len(own) > 0 || body != nil {
			if out, err = again(req, body, len(own) > 0); err != nil {
				return nil, err
			}
		}
		var resp *http.Response
		resp, err = r.transport.RoundTrip(out)
		if err == nil {
			if resp.Request == out {
				resp.Request = req
			}
			return resp, nil
		}
		if !g.elsewhere(x, req, body) || len(own)+1 >= len(rs.list) {
			body.giveUp()
			return nil, err
		}
		own = append(own, r.address)
		x.leave(Failure)
	}
}

// elsewhere reports whether a request that has failed may go to another address: it was on
// no connection, and its ctx goes on.
func (g *balancer) elsewhere(x *exchange, req *http.Request, body *unsent) bool {
	x.mu.Lock()
	sent := x.attempts > 0 || x.stage >= stageLate
	x.mu.Unlock()
	return !sent && x.Err() == nil && (body == nil && rereadable(req) || body != nil && !body.used.Load())
}

// again returns a copy of a request for an address. The base may have closed the body.
func again(req *http.Request, body *unsent, next bool) (*http.Request, error) {
	out := *req
	switch {
	case body != nil:
		out.Body = body
	case next && req.Body != nil && req.Body != http.NoBody:
		var err error
		if out.Body, err = req.GetBody(); err != nil {
			return nil, fmt.Errorf("%w: %w", errReread, err)
		}
	}
	return &out, nil
}
