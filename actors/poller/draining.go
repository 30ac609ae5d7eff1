package poller

import (
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// draining is an end that has begun.
type draining struct {
	handOver bool
	until    time.Time
	overdue  bool      // its receives were given up
	settleBy time.Time // what is not settled by then, and had settleLeast, is given up; zero: no limit
	waiting  []*actor.PID
}

func (w *worker) onDrain(asker *actor.PID, m *Drain) {
	if w.drain == nil {
		w.drain = &draining{until: w.now.Add(maxWait)}
		close(w.recall)
	}
	w.drain.handOver = m.HandOver
	if by := w.drain.settleBy; !m.Until.IsZero() && (by.IsZero() || m.Until.Before(by)) {
		w.drain.settleBy = m.Until
	}
	for i := range w.later {
		w.later[i].at = w.now
	}
	w.laterAt = w.now
	w.postponedDue()
	w.drain.waiting = append(w.drain.waiting, asker)
}

// drainDue gives up what a drain has waited for long enough.
func (w *worker) drainDue() {
	d := w.drain
	if d == nil {
		return
	}
	if !d.overdue && !w.now.Before(d.until) {
		d.overdue = true
		w.giveUpReceives()
	}
	if at, ok := w.giveUpAt(); ok && !w.now.Before(at) {
		w.giveUpSettles()
	}
}

// settleLeast is what each settle gets, however late in a drain it comes. A request
// takes some milliseconds. One that is given up between its copy and its delete runs
// twice.
const settleLeast = 5 * time.Second

// giveUpAt returns when the oldest settle is given up, if the drain has an end.
func (w *worker) giveUpAt() (at time.Time, ok bool) {
	if w.drain == nil || w.drain.settleBy.IsZero() {
		return time.Time{}, false
	}
	oldest := slices.IndexFunc(w.unflushed, func(s *settlement) bool { return !s.answered })
	if oldest < 0 {
		return time.Time{}, false
	}
	at = w.unflushed[oldest].since.Add(settleLeast)
	if at.Before(w.drain.settleBy) {
		at = w.drain.settleBy
	}
	return at, true
}

// conclude answers drains and flushes that have nothing to wait for any more.
func (w *worker) conclude() {
	if w.drain != nil && len(w.drain.waiting) > 0 && len(w.receives) == 0 && w.ledger.count[heldBack] == 0 {
		for _, pid := range w.drain.waiting {
			w.answer(pid, &Drained{})
		}
		w.drain.waiting = nil
	}
	w.concludeFlushes()
}

// giveUpReceives ends the receives that a drain has waited for long enough.
// What they might have brought shows again when its visibility ends.
func (w *worker) giveUpReceives() {
	for _, r := range slices.SortedFunc(maps.Keys(w.receives), byStart) {
		w.log.Warn("a receive did not end in time and is given up", "since", r.start)
		r.cancel()
	}
}

// giveUpSettles ends the settles of a drain that have had their time.
func (w *worker) giveUpSettles() {
	for l := range w.ledger.inOrder() {
		if s := l.settling; s != nil && !s.answered && w.now.Sub(s.since) >= settleLeast {
			w.finish(l, ErrDrained)
		}
	}
}
