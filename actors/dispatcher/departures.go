package dispatcher

import "time"

// departure is a task actor that was asked to stop and has not ended yet.
type departure struct {
	a          *attempt
	at         time.Time // of the Stop
	buried     bool      // given up: nothing waits for it any more
	prev, next *departure
}

// departures lists the task actors that are stopping, the oldest first. Those
// that are buried are kept apart, until they end after all. Pure, no actor.
type departures struct {
	byID        map[string]*departure
	first, last *departure
	waiting     int // those that are not buried
}

// add takes a's actor in; a second time is ignored.
func (l *departures) add(id string, a *attempt, now time.Time) *departure {
	if d := l.byID[id]; d != nil {
		return d
	}
	if l.byID == nil {
		l.byID = map[string]*departure{}
	}
	d := &departure{a: a, at: now, prev: l.last}
	if l.last != nil {
		l.last.next = d
	} else {
		l.first = d
	}
	l.last = d
	l.byID[id] = d
	l.waiting++
	return d
}

// bury takes d out of those that are waited for.
func (l *departures) bury(d *departure) {
	if d.buried {
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

// ended takes out the one of that id and returns it, or nil.
func (l *departures) ended(id string) *departure {
	d := l.byID[id]
	if d != nil {
		l.bury(d)
		delete(l.byID, id)
	}
	return d
}
