package breaker

import (
	"context"
	"errors"
	"net"
	"slices"
	"time"
)

// connect returns the connections to an address. Under the mutex.
func (g *balancer) connect(a *address, now int64) *connections {
	if c := g.transes[a.at]; c != nil {
		c.named = now
		return c
	}
	tr := g.base.Clone()
	tr.Proxy = nil
	// A DialContext of ours would turn off the HTTP/2 that the base has by itself.
	if tr.Protocols == nil && tr.TLSClientConfig != nil && slices.Contains(tr.TLSClientConfig.NextProtos, "h2") {
		tr.ForceAttemptHTTP2 = true
	}
	dial := tr.DialContext
	if old := tr.Dial; dial == nil && old != nil { //nolint:staticcheck // deprecated, and still in use
		dial = func(_ context.Context, network, addr string) (net.Conn, error) { return old(network, addr) }
	}
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	tr.Dial = nil //nolint:staticcheck // as above
	to := a.at.String()
	tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		until, cancel := ctx, context.CancelFunc(func() {})
		if rs := g.routes.Load(); rs == nil || len(rs.list) > 1 {
			until, cancel = context.WithTimeoutCause(ctx, g.set.Connect, errConnect)
		}
		defer cancel()
		conn, err := dial(until, network, to)
		g.dialed(a, ctx, err)
		return conn, err
	}
	c := &connections{transport: tr, limit: newConnLimit(g.base), named: now}
	g.transes[a.at] = c
	return c
}

// errConnect is the cause of the end of a connection that took too long.
var errConnect = errors.New("circuit breaker: the address did not answer in time")

// Bounds of how long an address is the last choice after connections that failed.
const (
	downFirst = time.Second
	downMost  = 30 * time.Second
)

// dialed notes whether a connection to an address could be made.
func (g *balancer) dialed(a *address, ctx context.Context, err error) {
	switch {
	case err == nil:
		if a.downs.Load() != 0 {
			a.downs.Store(0)
			a.down.Store(0)
		}
	case ctx.Err() != nil, ownLimit(err):
	default:
		n := a.downs.Add(1)
		a.down.Store(g.b.now() + int64(backoff(int(n-1), downFirst, downMost, 1)))
	}
}
