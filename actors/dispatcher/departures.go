package dispatcher

import "time"

// departure is the end of a task actor that was asked to stop. Its attempt holds
// it: to list one costs no memory.
type departure struct {
	a          *attempt // nil: it was not asked yet
	at         time.Time
	buried     bool // given up: nothing waits for it any more
	prev, next *departure
}

// departures lists the task actors that are stopping, the oldest first, without
// those that are buried. Pure, no actor.
type departures struct {
	first, last *departure
	waiting     int
}

// add takes the actor of a in; a second time is ignored.
func (l *departures) add(a *attempt, now time.Time) {
	d := &a.leaves
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
func (l *departures) bury(d *departure) {
	if d.buried || d.a == nil {
		return
	}
	d.buried = true
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
