package breaker

import "time"

// A connection can die without a sign: a NAT or a load balancer forgets it, or the machine
// behind it is gone. Requests that go there get no answer, and the service is healthy. A
// breaker makes that worse, because its few probes take the dead connections of a pool one
// by one, and HTTP/2 has one connection for all (golang/go#36026, golang/go#63422). So the
// first probe after calls without an answer goes by a connection of its own time.

// renewEvery is the time between two closings: a base may have connections to other hosts.
const renewEvery = 30 * time.Second

// unanswered notes that a call got no answer in time.
func (x *exchange) unanswered() { x.b.counted().unanswered.Store(max(1, x.b.now())) }

// renew closes the idle connections of the base before a probe, if calls got no answer
// since it was done last.
func (t *transport) renew() {
	c, now := t.b.counted(), t.b.now()
	last := c.renewed.Load()
	if c.unanswered.Load() <= last || last != 0 && now-last < int64(renewEvery) {
		return
	}
	c.renewed.Store(now)
	t.CloseIdleConnections()
}
