package breaker

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// machine is the state of one entry. It is a value: step returns the next one
// and changes nothing. Everybody may read a published machine: fails and last by
// [machine.failures] and [machine.counted], since count changes these two in place.
type machine struct {
	last   int64  // closed: last event that counted; open: as begun; ns; first for the alignment on 32 bits
	state  State  // Closed, Open or HalfOpen
	blamed bool   // closed: made a parent open again, by one of fails: takes the next failure there alone
	sick   bool   // open, and the last health call failed
	fails  int32  // closed: counted failures; half-open: failures since the beginning
	succs  int32  // closed: since the first of fails; half-open: successes; open: good health calls
	opens  int32  // times opened since it was last closed
	hung   int32  // calls in flight longer than HangTime
	since  uint64 // generation that began with the last transition
	until  int64  // open: its end; half-open in a ramp: the end of the ramp; ns
	begun  int64  // open: when it opened; half-open in a ramp: when the ramp began; ns
	probes []probe
}

// probe is a slot of a half-open entry, held by a call in flight.
type probe struct {
	id       uint64
	deadline int64 // at which the slot is taken back
	free     int64 // at which it is likely to be free, at the latest
	lenient  bool  // the deadline is no failure
}

type eventKind uint8

const (
	evSuccess  eventKind = iota
	evSlow               // the call succeeded, but slowly
	evFailure            // the call ended in a failure
	evNeutral            // the call ended without a verdict: only its slot is given back
	evAdmit              // a call takes a slot; the caller of step has seen that one is free
	evHang               // a call is in flight longer than HangTime
	evHangOver           // a call that hung has ended
	evHealth             // the breaker's own health call succeeded
	evSick               // the breaker's own health call failed
	evTime               // now has come
	evReset              // an operator's Reset
)

// event is one thing that happened to an entry. Time and chance are inputs.
type event struct {
	kind  eventKind
	now   int64         // ns
	probe uint64        // slot that the call holds, or takes; 0 for none
	hold  time.Duration // failure: Retry-After; evAdmit: longest hold of the slot, 0 for probe_timeout
	blame bool          // failure: this entry takes it for its parents
	rnd   float64       // 0 to 1, for jitter
	seen  tallied       // what the sliding window holds, this call included

	lenient bool // evAdmit: past that time the slot is given back, and nothing counts
}

// tallied are the counts of a sliding window.
type tallied struct{ calls, bad, slow int }

// step returns the machine after e and, if its state changed, why. Events that
// the state does not care about change nothing; whether a result belongs to
// the present state at all is decided before (see counts).
func (m machine) step(c *Settings, e event) (machine, string) {
	m.probes = withoutProbe(m.probes, e.probe) // the slot that evAdmit takes is not there yet
	switch e.kind {
	case evHang:
		m.hung++
	case evHangOver:
		m.hung = max(0, m.hung-1)
	case evReset:
		return m.close(e.now), "a reset"
	}
	switch m.state {
	case Closed:
		return m.stepClosed(c, e)
	case Open:
		return m.stepOpen(c, e)
	default:
		return m.stepHalfOpen(c, e)
	}
}

func (m machine) stepClosed(c *Settings, e event) (machine, string) {
	switch e.kind {
	case evSlow:
		if reason := c.tooMany(e.seen); c.Trip == "rate" && reason != "" {
			return m.open(c, e), reason
		}
		m.last = e.now
		fallthrough
	case evSuccess:
		if m.fails > 0 {
			m.last = e.now
			if m.succs++; m.succs >= int32(c.ClosedSuccessLimit) {
				m.fails, m.succs, m.blamed = 0, 0, false
			}
		}
	case evFailure, evHang:
		m.last = e.now
		m.fails = increased(m.fails)
		switch {
		case c.HangLimit > 0 && m.hung >= int32(c.HangLimit):
			return m.open(c, e), fmt.Sprintf("%d calls hang for %v and longer", m.hung, c.HangTime)
		case e.blame:
			return m.open(c, e), "failed again while a parent was half-open"
		case c.Trip == "rate":
			if reason := c.tooMany(e.seen); reason != "" {
				return m.open(c, e), reason
			}
		case m.fails >= int32(c.ClosedFailLimit):
			return m.open(c, e), fmt.Sprintf("%d failures", m.fails)
		}
	}
	return m, ""
}

func (m machine) stepOpen(c *Settings, e event) (machine, string) {
	switch e.kind {
	case evHealth:
		m.sick = false
		if m.succs++; m.succs >= int32(c.HalfSuccessLimit) {
			m = m.half()
			if c.Ramp > 0 {
				m = m.ramp(c, e.now)
			}
			return m, fmt.Sprintf("%d health calls succeeded", c.HalfSuccessLimit)
		}
	case evSick:
		m.sick, m.succs = true, 0
	case evTime:
		if e.now < m.until {
			break
		}
		// A failing health call keeps it open, but never for longer than OpenMax:
		// a wrong health_url must not make it stick.
		if end := m.begun + int64(c.OpenMax); m.sick && e.now < end {
			m.until = min(e.now+int64(c.OpenTimeout), end)
			break
		}
		return m.half(), "open time is over"
	}
	return m, ""
}

func (m machine) stepHalfOpen(c *Settings, e event) (machine, string) {
	switch e.kind {
	case evAdmit:
		p := probe{id: e.probe, deadline: e.now + int64(c.ProbeTimeout), lenient: e.lenient}
		if p.free = p.deadline; e.hold > 0 {
			p.deadline = e.now + int64(e.hold)
			if !e.lenient {
				p.free = p.deadline
			}
		}
		m.probes = append(slices.Clip(m.probes), p) // a copy: the machine before may be published
	case evSuccess, evSlow:
		if m.ramping() {
			break
		}
		if m.succs++; m.succs >= int32(c.HalfSuccessLimit) {
			if c.Ramp > 0 {
				return m.ramp(c, e.now), ""
			}
			return m.close(e.now), fmt.Sprintf("%d successes", m.succs)
		}
	case evFailure, evHang:
		if m.fails++; m.fails >= int32(c.HalfFailLimit) {
			return m.open(c, e), fmt.Sprintf("%d failures while half-open", m.fails)
		}
	case evTime:
		if m.ramping() && e.now >= m.until {
			return m.close(e.now), "ramp is over"
		}
		for _, p := range m.probes {
			if e.now < p.deadline {
				continue
			}
			late := event{kind: evFailure, now: e.now, probe: p.id, rnd: e.rnd}
			if p.lenient {
				late.kind = evNeutral
			}
			next, reason := m.step(c, late)
			if reason != "" {
				return next, fmt.Sprintf("a probe did not end within %v", c.ProbeTimeout)
			}
			m = next
		}
	}
	return m, ""
}

// open returns m opened at e.now, for a time that the settings and the failing
// response decide.
func (m machine) open(c *Settings, e event) machine {
	d := c.OpenTimeout
	if c.OpenBackoff == "exponential" {
		for range min(m.opens, 60) { // from 1 ns to beyond maxTime
			d = min(2*d, c.OpenMax)
		}
	}
	d += time.Duration(float64(d) * c.OpenJitter * e.rnd)
	if c.RetryAfter == "honor" {
		d = max(d, e.hold)
	}
	d = min(d, c.OpenMax)
	return machine{state: Open, opens: increased(m.opens), hung: m.hung,
		begun: e.now, until: e.now + int64(d), last: e.now}
}

func (m machine) half() machine {
	return machine{state: HalfOpen, opens: m.opens, hung: m.hung}
}

func (m machine) ramp(c *Settings, now int64) machine {
	m.begun, m.until = now, now+int64(c.Ramp)
	return m
}

func (m machine) close(now int64) machine {
	return machine{state: Closed, hung: m.hung, last: now}
}

func (m *machine) ramping() bool { return m.state == HalfOpen && m.until != 0 }

// rampStart is the share of calls with which a ramp begins.
const rampStart = 0.05

// share returns which part of the calls a ramp admits now.
func (m *machine) share(now int64) float64 {
	return min(1, max(rampStart, float64(now-m.begun)/float64(m.until-m.begun)))
}

// holds reports whether the call with slot id is one of the probes in flight.
func (m *machine) holds(id uint64) bool { return find(m.probes, id) >= 0 }

// counts says whether the result of a call that was admitted in generation gen,
// with slot id or 0, belongs to the present state.
func (m *machine) counts(gen, id uint64) bool {
	switch m.state {
	case Closed:
		return m.since <= gen
	case HalfOpen:
		return m.holds(id) || m.ramping() && m.since <= gen
	default:
		return false
	}
}

// due returns when evTime is wanted next, or 0.
func (m *machine) due() int64 {
	if m.state == Open || m.ramping() {
		return m.until
	}
	return earliest(m.probes, func(p probe) int64 { return p.deadline })
}

// free returns when a slot is likely to be free, at the latest, or 0.
func (m *machine) free() int64 {
	return earliest(m.probes, func(p probe) int64 { return p.free })
}

// earliest returns the first of the probes' times, or 0. Each probe may have a
// term of its own.
func earliest(probes []probe, of func(probe) int64) int64 {
	if len(probes) == 0 {
		return 0
	}
	at := of(probes[0])
	for _, p := range probes[1:] {
		at = min(at, of(p))
	}
	return at
}

// clean says that the machine is that of an entry which never was.
func (m *machine) clean() bool {
	return m.state == Closed && m.fails == 0 && m.hung == 0 && m.since == 0
}

func (c *Settings) tooMany(t tallied) string {
	if t.calls < c.MinCalls {
		return ""
	}
	if float64(t.bad) >= c.FailureRate*float64(t.calls) {
		return fmt.Sprintf("%d of %d calls failed", t.bad, t.calls)
	}
	if c.SlowCall > 0 && float64(t.slow) >= c.SlowRate*float64(t.calls) {
		return fmt.Sprintf("%d of %d calls took %v and longer", t.slow, t.calls, c.SlowCall)
	}
	return ""
}

func increased(n int32) int32 {
	if n == math.MaxInt32 {
		return n
	}
	return n + 1
}

func find(probes []probe, id uint64) int {
	return slices.IndexFunc(probes, func(p probe) bool { return p.id == id })
}

func withoutProbe(probes []probe, id uint64) []probe {
	i := find(probes, id)
	if i < 0 {
		return probes
	}
	return slices.Concat(probes[:i], probes[i+1:])
}
