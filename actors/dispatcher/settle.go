package dispatcher

import (
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Waiting in place, and the end of the lease.

// wake ends a wait; of an older generation it is ignored.
type wake struct {
	unlogged
	e   *execution
	gen uint32
}

func (d *dispatcher) arm(e *execution, wait time.Duration) {
	e.disarm()
	e.timer = d.after(wait, &wake{e: e, gen: e.gen})
}

// hold lets e wait in place: its lease kept, no slot held, no actor alive.
func (d *dispatcher) hold(e *execution, wait time.Duration, now time.Time) {
	d.held++
	d.monitor.held.Add(1)
	e.entry.meter.held.Add(1)
	e.enter(waiting, now)
	e.until = now.Add(wait)
	d.emit(Held, e, func(ev *Event) { ev.Wait = wait })
	d.arm(e, wait)
}

func (d *dispatcher) unhold(e *execution) {
	d.held--
	d.monitor.held.Add(-1)
	e.disarm()
	e.until = time.Time{}
}

func (d *dispatcher) onWake(m *wake) {
	e := m.e
	if e.gen != m.gen || d.execs[e.lease] != e {
		return
	}
	if e.phase == waiting {
		d.unhold(e)
		if e.group != nil && e.group.head() != e { // an operator snoozed it
			e.enter(queued, time.Now())
		} else {
			d.enqueue(e, time.Now())
		}
	}
	d.settleKept(e)
	d.pump()
}

// settle ends e's lease; the poller answers with Settled.
func (d *dispatcher) settle(e *execution, s *poller.Settle) {
	e.disarm()
	if d.ordered && d.keep(e, s) {
		return
	}
	e.enter(ending, time.Now())
	e.returned = e.returned || s.Release
	d.settling++
	d.monitor.settling.Add(1)
	if d.tracer != nil {
		s.Link = e.link()
	}
	d.ctx.Send(d.poller, s)
}

func (d *dispatcher) onSettled(m *poller.Settled) {
	e := d.execs[m.Lease]
	if e == nil || e.phase != ending { // of an earlier incarnation, or a duplicate
		d.duplicates.drop(m.Lease)
		d.drainProgress()
		return
	}
	d.settling--
	d.settled++
	d.monitor.settling.Add(-1)
	if m.Err != nil {
		d.monitor.settleFailed.Add(1)
		e.returned = true
		if d.drain != nil {
			d.drain.unsettled++
		}
		d.log.WarnContext(e.logContext(), "a message could not be settled: it will be delivered again", "error", m.Err,
			"message_id", e.messageID)
		d.emit(SettleFailed, e, func(ev *Event) { ev.Error = m.Err.Error() })
		if e.fate != undecided {
			d.memories.keep(e.messageID, e.memory(e.fate))
			d.journals.keep(e.messageID, e.journal)
		}
	} else {
		d.emit(SettledWell, e, nil)
	}
	d.forget(e)
	d.pump()
	d.drainProgress()
}

// forget takes a message out of the books.
func (d *dispatcher) forget(e *execution) {
	delete(d.execs, e.lease)
	if e.group != nil {
		d.advance(e)
	}
	if !d.ordered {
		d.endDuplicates(e)
	}
}

// drop forgets a message after its lease was lost.
func (d *dispatcher) drop(e *execution) {
	e.disarm()
	d.journals.keep(e.messageID, e.journal)
	d.forget(e)
	d.drainProgress()
}

// onLeaseExpiring: SQS's 12 hours are nearly over, or the queue's retention. A
// fresh copy begins both again. On a FIFO pool what the queue is about to drop is
// given up.
func (d *dispatcher) onLeaseExpiring(m *poller.LeaseExpiring) {
	e := d.execs[m.Lease]
	if e == nil || e.lost {
		return
	}
	switch e.phase {
	case running:
		if !e.cur.inGrace {
			d.interrupt(e.cur, ErrLeaseEnd)
		}
	case waiting:
		rest := max(time.Until(e.until), 0)
		d.unhold(e)
		d.carryOn(e, rest, m.At)
	case queued:
		d.unqueue(e)
		d.carryOn(e, 0, m.At)
	}
	d.pump()
}

// carryOn gives back what has no attempt under way and holds a lease that ends
// at end.
func (d *dispatcher) carryOn(e *execution, wait time.Duration, end time.Time) {
	now := time.Now()
	t := d.timing(e)
	if kept := t.kept(now); d.ordered && !kept.After(end.Add(keepMargin(t.retention))) {
		d.giveUp(e, task.ReasonTooLate, &tooLateError{err: e.lastError(), due: now.Add(wait), kept: kept,
			retention: t.retention})
		return
	}
	d.giveBackUnrun(e, min(wait, hideLeft(e.received, now)))
}

func (d *dispatcher) onLeaseLost(m *poller.LeaseLost) {
	e := d.execs[m.Lease]
	if e == nil {
		d.duplicates.drop(m.Lease)
		d.drainProgress()
		return
	}
	if e.lost {
		return
	}
	e.lost = true
	d.monitor.lostLeases.Add(1)
	d.log.WarnContext(e.logContext(), "lease lost: the message may be delivered to another process", "error", m.Err,
		"phase", e.phase.String())
	d.emit(LostLease, e, nil)
	switch e.phase {
	case running:
		d.interrupt(e.cur, ErrLeaseLost)
	case waiting:
		d.remember(e)
		d.unhold(e)
		d.drop(e)
	case queued:
		d.remember(e)
		d.unqueue(e)
		d.drop(e)
	}
	d.pump()
}
