package breaker

import (
	"errors"
	"fmt"
	"time"
)

// A fleet is several processes of one service that share what they have seen of their
// remote services. What they agree on reaches a breaker as one of three events of its
// machine: [Breaker.Trip], [Breaker.Doubt] and [Breaker.Recover]. They lie below an
// operator: where one holds an entry on the path they change nothing. They change
// nothing either while a probe is in flight: its end says more.
//
// Each takes the Seq of the last [Moved] of the breaker that its caller has taken in. If
// another one is on its way the event is refused, with [ErrMoved]: it was decided without
// that. So what a process has just seen by itself is never undone by an older word.

// ErrMoved refuses an event of the fleet: a later transition is on its way to [FleetAgent].
var ErrMoved = errors.New("circuit breaker has moved on")

// FleetAgent is the address of the actor that shares states with other processes. If an
// actor lives there it gets every transition of every breaker of its system as a
// [*Moved]; otherwise nothing is sent.
const FleetAgent = "fleet-agent"

// Moved is one transition of a breaker, sent to [FleetAgent].
type Moved struct {
	Breaker *Breaker
	Transition
}

// IgnoreDeadLetterLogging keeps a transition that comes after the agent's end out of the log.
func (*Moved) IgnoreDeadLetterLogging() {}

// Trip opens the entry of path until d from now at the earliest, at most open_max. An
// open time that ends later stays. It returns the state that the entry has then, and
// whether the event changed it.
func (b *Breaker) Trip(path string, d time.Duration, reason string, seen uint64) (now State, changed bool, err error) {
	if d < 0 || d > maxTime {
		return 0, false, fmt.Errorf("breaker of %s%.100s: trip for %v: want 0 to %v", b.service, path, d, maxTime)
	}
	return b.agree(path, reason, seen, func(c *Settings, m machine, now int64) machine { return m.trip(c, now, d) })
}

// Doubt makes a closed entry of path half-open: its next calls find out, one at a time,
// whether others are right who say that the service fails.
func (b *Breaker) Doubt(path, reason string, seen uint64) (now State, changed bool, err error) {
	return b.agree(path, reason, seen, func(_ *Settings, m machine, _ int64) machine { return m.doubt() })
}

// Recover closes the entry of path, because another process has seen that the service
// works again. With a ramp the entry begins it, as after successes of its own.
func (b *Breaker) Recover(path, reason string, seen uint64) (now State, changed bool, err error) {
	return b.agree(path, reason, seen, func(c *Settings, m machine, now int64) machine { return m.recovered(c, now) })
}

// agree moves the entry of path on by an event of the fleet. An entry that the bounds
// of the service have no room for stays as it is: closed.
func (b *Breaker) agree(path, reason string, seen uint64, next func(*Settings, machine, int64) machine) (State, bool,
	error) {
	var now State
	if isAddress(path) {
		return Closed, false, fmt.Errorf("breaker of %s%.100s: a fleet shares the states of paths, not of addresses",
			b.service, path)
	}
	changed, err := query(b, func(s *state) (bool, error) {
		path := cleanPath(path)
		e := s.begin()
		chain := e.take(path, true)
		n := chain[len(chain)-1]
		if n.path != path || e.held(path) != nil {
			if n.path == path {
				now = n.shown()
			}
			e.free()
			return false, nil
		}
		if r := b.own.rest; r != nil && r.announced > seen {
			now = n.shown()
			e.free()
			return false, ErrMoved
		}
		moved := e.agree(n, next(&e.set.Settings, n.machine, e.now), reason)
		now = n.shown()
		if !moved {
			e.free()
			return false, nil
		}
		e.put()
		s.commit(e)
		return true, nil
	})
	return now, changed, err
}

// agree gives a node of the chain its next machine and notes what follows from it.
func (e *edit) agree(n *node, next machine, reason string) (changed bool) {
	own, until, wanted := n.state, n.until, n.due()
	if next.state == own && next.until == until {
		return false
	}
	n.machine = next
	if n.state != own {
		e.noteAs(n, own, own, reason)
	}
	if d := n.due(); d != 0 && d != wanted {
		e.dues = append(e.dues, due{d, n.path})
	}
	return true
}

// trip returns m open until d from now at the earliest. A ramp goes on: its calls are in
// flight.
func (m machine) trip(c *Settings, now int64, d time.Duration) machine {
	until := now + int64(min(d, c.OpenMax))
	switch {
	case m.state == Open:
		m.until = max(m.until, until)
		return m
	case m.ramping(), len(m.probes) > 0:
		return m
	}
	return machine{state: Open, opens: m.opens, hung: m.hung, begun: now, until: until, last: now}
}

// doubt returns m half-open if it is closed.
func (m machine) doubt() machine {
	if m.state != Closed {
		return m
	}
	return m.half()
}

// recovered returns m closed, or in its ramp, if it is open or waits for a probe.
func (m machine) recovered(c *Settings, now int64) machine {
	switch {
	case m.state == Closed, m.ramping(), len(m.probes) > 0:
		return m
	case c.Ramp > 0:
		return m.half().ramp(c, now)
	}
	return m.close(now)
}

// notifyFleet sends transitions to the actor at [FleetAgent], if there is one.
func (b *Breaker) notifyFleet(changes []change, now int64) {
	agent, ok := b.system.ProcessRegistry.GetLocal(FleetAgent)
	if !ok {
		return
	}
	to := b.system.NewLocalPID(FleetAgent)
	for _, c := range changes {
		if isAddress(c.path) {
			continue // what one process sees of an address may be its own network
		}
		b.own.more().announced = c.seq
		agent.SendUserMessage(to, &Moved{b, b.transition(record{c, now})})
	}
}
