package breaker

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"
)

// pick returns the route of a request and, if it is a probe, its mark. not says which
// addresses are the last choice for it.
func (g *balancer) pick(rs *routes, req *http.Request, not func(*address) bool) (*route, int64) {
	now := g.b.now()
	if g.b.addressed().probing.Load() > 0 {
		for _, r := range rs.list {
			// A read rather than a write finds out; a service of writes alone is asked by one.
			if r.is() != HalfOpen || not(r.address) || !safe(req.Method) && now-r.since.Load() < int64(writesLater) {
				continue
			}
			if mark, ok := r.takeProbe(now, g.b.view.Load().set.ProbeTimeout); ok {
				return r, mark
			}
		}
	}
	n := len(rs.list)
	var one *route
	for range 8 {
		r := rs.list[rand.IntN(n)]
		switch {
		case r == one || not(r.address) || r.rank(now) > 0:
		case one == nil:
			one = r
			if n == 1 {
				return r, 0
			}
		case r.inFlight.Load() < one.inFlight.Load():
			return r, 0
		default:
			return one, 0
		}
	}
	if one != nil {
		return one, 0
	}
	best, least := (*route)(nil), 0
	for i := range n { // what is left, from a random place on
		r := rs.list[(i+int(now>>10&0xffff))%n]
		rank := r.rank(now)
		if not(r.address) {
			rank += 4
		}
		if best == nil || rank < least || rank == least && r.inFlight.Load() < best.inFlight.Load() {
			best, least = r, rank
		}
	}
	return best, 0
}

// writesLater is how long a probe waits for a request that changes nothing.
const writesLater = 5 * time.Second

// rank returns how much an address is the last choice: 0 not at all, 1 no connection could
// be made of late, 2 it is left out.
func (r *route) rank(now int64) int {
	if r.is() != Closed {
		return 2
	}
	down := r.down.Load()
	switch {
	case down == 0:
		return 0
	case now < down:
		return 1
	case r.down.CompareAndSwap(down, now+int64(r.set.Connect)):
		return 0 // one request finds out
	}
	return 1
}

// drain closes the connections to addresses that have been left out since the last time.
// Those in use are closed when their requests end.
func (g *balancer) drain(rs *routes) {
	n := g.b.addressed().changes.Load()
	if had := g.drained.Load(); had == n || !g.drained.CompareAndSwap(had, n) {
		return
	}
	for _, r := range rs.list {
		if r.is() == Open {
			r.transport.CloseIdleConnections()
		}
	}
}

// triedKey is the key of a ctx for the addresses that a request with retries has met.
type triedKey struct{}

// tried are the addresses of the attempts of one request. A nil one has none.
type tried struct {
	mu   sync.Mutex
	list []*address
}

func (t *tried) has(a *address) bool {
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.list, a)
}

func (t *tried) add(a *address) {
	if t != nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.list = append(t.list, a)
	}
}
