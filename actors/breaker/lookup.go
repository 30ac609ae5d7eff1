package breaker

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"slices"
	"time"
)

// lookup is one question for the addresses of a name.
type lookup struct {
	done chan struct{}
	err  error // read after done
}

// lookupTime bounds a lookup.
const lookupTime = 5 * time.Second

// current returns the addresses of the service. Only the first request waits for them;
// later ones take those of the last lookup, and begin the next one when it is time.
func (g *balancer) current(ctx context.Context) (*routes, error) {
	now := g.b.now()
	rs := g.routes.Load()
	if rs != nil && now-rs.at < int64(g.set.Refresh) {
		return rs, nil
	}
	l := g.look(now)
	if rs != nil {
		return rs, nil
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if rs = g.routes.Load(); rs != nil {
		return rs, nil
	}
	return nil, l.err
}

// look returns the lookup under way, or begins one.
func (g *balancer) look(now int64) *lookup {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lookup != nil {
		return g.lookup
	}
	l := &lookup{done: make(chan struct{})}
	if at, err := netip.ParseAddr(g.host); err == nil { // no name: there is nothing to look up
		g.take([]netip.Addr{at}, now)
		close(l.done)
		return l
	}
	g.lookup = l
	go g.ask(l)
	return l
}

// ask makes a lookup, on a goroutine of its own that ends within lookupTime if its resolver
// obeys the ctx.
func (g *balancer) ask(l *lookup) {
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	found, err := g.resolve(ctx)
	g.mu.Lock()
	now := g.b.now()
	var gone []*address
	if err == nil {
		gone = g.take(found, now)
	} else if rs := g.routes.Load(); rs != nil { // those that are known are better than none
		gone = g.keep(rs, now)
	}
	l.err, g.lookup = err, nil
	g.mu.Unlock()
	g.b.forget(gone)
	close(l.done)
}

// resolve asks the resolver. A panic of it is an error: the goroutine is ours.
func (g *balancer) resolve(ctx context.Context) (found []netip.Addr, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("breaker of %s: the resolver of EjectOutliers panicked: %v", g.b.service, r)
		}
	}()
	var by Resolver = net.DefaultResolver
	if g.set.Resolver != nil {
		by = g.set.Resolver
	}
	if found, err = by.LookupNetIP(ctx, "ip", g.host); err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, &net.DNSError{Err: "the name has no address", Name: g.host, IsNotFound: true}
	}
	return found, nil
}

// take puts the addresses of a lookup in use, and returns those that are forgotten. Under
// the mutex.
func (g *balancer) take(found []netip.Addr, now int64) (gone []*address) {
	at := make([]netip.AddrPort, 0, len(found))
	for _, a := range found {
		if a.IsValid() {
			at = append(at, netip.AddrPortFrom(a.Unmap(), g.port))
		}
	}
	slices.SortFunc(at, netip.AddrPort.Compare)
	at = slices.Compact(at)
	if len(at) > mostAddresses { // each process takes others, and the same ones at each lookup
		weight := func(a netip.AddrPort) uint64 { return maphash.Comparable(g.seed, a) }
		slices.SortFunc(at, func(x, y netip.AddrPort) int { return cmp.Compare(weight(x), weight(y)) })
		at = at[:mostAddresses]
	}
	have, gone := g.b.addressed().named(at, &g.set, now)
	rs := &routes{at: now, list: make([]*route, len(have))}
	for i, a := range have {
		rs.list[i] = &route{a, g.connect(a, now)}
	}
	if len(rs.list) > 0 {
		g.routes.Store(rs)
	}
	for ap, c := range g.transes {
		if age := now - c.named; age > int64(addressKept) || age > 0 && len(g.transes) > 2*mostAddresses {
			c.transport.CloseIdleConnections()
			delete(g.transes, ap)
		}
	}
	return gone
}

// keep leaves the addresses in use after a lookup that failed. Under the mutex.
func (g *balancer) keep(rs *routes, now int64) (gone []*address) {
	found := make([]netip.Addr, len(rs.list))
	for i, r := range rs.list {
		found[i] = r.at.Addr()
	}
	return g.take(found, now)
}
