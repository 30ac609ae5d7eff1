package dispatcher

import (
	"time"
)

// departure is the end of a task actor that was asked to stop. Its attempt holds
// it: to list one costs no memory.
type departure struct {
	a          *attempt // nil: it was not asked yet
	at         time.Time
	removed    bool // given up: nothing waits for it any more
	prev, next *departure
}

// departures lists the task actors that are stopping, the oldest first, without
// those that are removed. Pure, no actor.
type departures struct {
	first, last *departure
	waiting     int
}

// add takes the actor of a in; a second time is ignored.
func (l *departures) add(a *attempt, now time.Time) {
	d := &a.departure
	if d.a != nil {
		return
	}
	d.a, d.at, d.prev = a, now, l.last
	if l.last != nil {
		l.last.next = d
	} else {
		l.first = d
	}
	l.last = d
	l.waiting++
}

// bury takes d out of those that are waited for: it has ended, or is given up.
func (l *departures) remove(d *departure) {
	if d.removed || d.a == nil {
		return
	}
	d.removed = true
	l.waiting--
	if d.prev != nil {
		d.prev.next = d.next
	} else {
		l.first = d.next
	}
	if d.next != nil {
		d.next.prev = d.prev
	} else {
		l.last = d.prev
	}
	d.prev, d.next = nil, nil
}

// departureOverdue is the tick of the oldest departure.
type departureOverdue struct{ unlogged }

// armDepartures sets the timer of the oldest departure, unless it is set.
func (d *dispatcher) armDepartures() {
	if d.departing != nil || d.departures.first == nil {
		return
	}
	wait := time.Until(d.departures.first.at.Add(d.graceTime()))
	d.departing = d.after(wait, &departureOverdue{})
}

// hurryDepartures sets the timer again: less time is left to the task actors that
// are stopping.
func (d *dispatcher) hurryDepartures() {
	if d.departing != nil {
		d.departing.Stop()
		d.departing = nil
	}
	d.armDepartures()
}

// onDepartureOverdue abandons the task actors that have not ended in time.
func (d *dispatcher) onDepartureOverdue() {
	d.departing = nil
	now := time.Now()
	for f := d.departures.first; f != nil && now.Sub(f.at) >= d.graceTime(); f = d.departures.first {
		d.abandonActor(f)
		e := f.a.exec
		e.entry.meter.abandoned.Add(1)
		d.log.WarnContext(f.a.ctx,
			"task actor abandoned: it did not end within abandon_after of its stop; it blocks, or a child of it does",
			"pid", f.a.child.Id, "stopping_for", now.Sub(f.at))
		d.emit(Abandoned, e, nil)
	}
	d.armDepartures()
	d.drainProgress()
}

// bury gives up on a task actor that does not end: nothing waits for it, and
// what is sent to it is a dead letter.
func (d *dispatcher) abandonActor(f *departure) {
	d.departures.remove(f)
	d.monitor.actors.Delete(f.a.child.Id)
	d.system.ProcessRegistry.Remove(f.a.child)
}
