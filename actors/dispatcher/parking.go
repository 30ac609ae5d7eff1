package dispatcher

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// Messages that may not run now, since their task is paused or at its limit:
// how many stay here, when the others come again, and how many are received
// while nothing else comes. The decisions are in throttle.go.

// capacity is how many of t's messages may wait here. Those that wait for a service are
// back at once when it is, so max_held alone bounds them.
func (d *dispatcher) capacity(t *entry, now time.Time) int {
	rest := d.MaxHeld - d.held - d.parked + len(t.parked)
	if !t.paused && t.behind != nil && d.shut(t, false, now) {
		return max(rest, 0)
	}
	return capacity(t.spec.Concurrency, t.pace.value(now), rest)
}

// refuse gives back e, which may not run and finds no room here.
func (d *dispatcher) refuse(e *execution, now time.Time) {
	t := e.entry
	d.noteRefusal(t, now)
	if !t.paused && d.shut(t, false, now) {
		t.outage = true
		d.giveBackUnrun(e, max(spread(d.waitFor(t), d.random), min(now.Sub(t.full), outageMost), tick))
		return
	}
	lately := 0.0
	if !t.paused {
		lately = t.pace.value(now)
	}
	d.giveBackUnrun(e, delay(now.Sub(t.full), d.UnknownTasksDelay, len(t.parked), lately))
}

// outageMost is how long a message stays away at most since its service is down.
const outageMost = 5 * time.Minute

// noteRefusal notes that a message of t was received only to be given back.
func (d *dispatcher) noteRefusal(t *entry, now time.Time) {
	if t.full.IsZero() {
		t.full = now
		d.full = append(d.full, t)
	}
	d.budgetRequests()
	d.throttle.gaveBack(now)
}

// noteLimits notes how e's attempt ended, and returns how long e waits. A
// message that an open breaker refuses, and that may not wait in place, could not
// run either: it stays away for half of the time since the first of them, for
// its service may be back at any time.
func (d *dispatcher) noteLimits(e *execution, out outcome, v verdict, now time.Time) time.Duration {
	t := e.entry
	switch {
	case out.kind != outRefused:
		t.outage = false
		if len(d.full) > 0 && !e.parked && e.runs == 1 {
			d.throttle.ran()
		}
	case v.kind == reissue && d.drain == nil:
		d.noteRefusal(t, now)
		t.outage = true
		return max(v.wait, min(now.Sub(t.full)/2, outageMost))
	}
	return v.wait
}

// budgetRequests says what the throttle may spend: as much at once as puts off a
// thousand messages, for what is behind them is not to wait, and by and by.
func (d *dispatcher) budgetRequests() {
	d.throttle.most, d.throttle.rate = float64(max(throttleMost, d.slots.workers)), limitedRate
	if slices.ContainsFunc(d.full, func(t *entry) bool { return t.paused || t.outage }) {
		d.throttle.rate = pausedRate(d.parked + d.held)
	}
}

// demandLimit returns how many messages may be asked for while some tasks have
// enough of theirs here.
func (d *dispatcher) demandLimit(now time.Time) int {
	d.budgetRequests()
	room, full := 0, d.full[:0]
	for _, t := range d.full {
		most := d.capacity(t, now)
		if !t.paused && !t.outage && len(t.parked) == 0 && most > 0 {
			t.full = time.Time{}
			continue
		}
		full = append(full, t)
		// In tens, for a receive of one costs as much.
		if n := most - len(t.parked); !t.outage && n >= min(10, (most+1)/2) {
			room += n
		}
	}
	clear(d.full[len(full):])
	if d.full = full; len(full) == 0 {
		return math.MaxInt
	}
	n, again := d.throttle.credits(now)
	if n == 0 && !d.refilling {
		d.refilling = true
		d.after(again, &refilled{})
	}
	return room + n
}

// refilled is the tick of the throttle: it may let messages in again.
type refilled struct{ unlogged }

func (d *dispatcher) onRefilled() {
	d.refilling = false
	d.pump()
}

func (d *dispatcher) limited(e *execution) bool {
	t := e.entry
	switch {
	case t.paused, t.behind != nil && d.shut(t, news(e), time.Now()):
		d.giveClaim(e)
		return true
	case t.spec.Concurrency == 0:
		return false
	case d.permits.keeper != nil:
		return !e.claimed
	}
	return t.running >= t.spec.Concurrency
}

// park keeps e until its task may run; too many are given back.
func (d *dispatcher) park(e *execution, now time.Time) {
	if !d.ordered && len(e.entry.parked) >= d.capacity(e.entry, now) {
		d.refuse(e, now)
		return
	}
	e.parked = true
	d.parked++
	e.enter(queued, now)
	e.entry.line(e, d.tenant(e))
	d.claim(e.entry)
}

// line puts e among the parked executions of its task, by the turn of its tenant.
func (t *entry) line(e *execution, tenant string) {
	e.turn = t.turns.take(tenant)
	i := len(t.parked)
	if i > 0 && t.parked[i-1].turn > e.turn {
		i, _ = slices.BinarySearchFunc(t.parked, e.turn+1, func(o *execution, turn uint64) int {
			return cmp.Compare(o.turn, turn)
		})
	}
	t.parked = slices.Insert(t.parked, i, e)
}

// unpark lets n of t's parked executions compete for slots again.
func (d *dispatcher) unpark(t *entry, n int) {
	for ; n > 0 && len(t.parked) > 0; n-- {
		e := t.parked[0]
		t.parked = t.parked[1:]
		t.turns.served(e.turn)
		d.parked--
		d.ready.push(e, d.tenant(e))
	}
}
