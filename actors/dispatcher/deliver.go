package dispatcher

import (
	"math"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// From a delivered message to its first attempt.

func (d *dispatcher) onDelivered(m *poller.Delivered) {
	if m.Epoch != d.epoch {
		return // it was in the mailbox over a restart: the poller has released it
	}
	d.slots.outstanding--
	d.deliver(m)
	d.pump()
}

// deliver begins the execution of a message, unless it has one here.
func (d *dispatcher) deliver(m *poller.Delivered) {
	now := time.Now()
	if !d.ordered && d.duplicates.wait(m) {
		return
	}
	msg, defects := m.Message()
	if msg.Reason != "" { // a dead letter that SQS's own redrive has brought back
		msg = msg.Renewed()
	}
	e := &execution{
		lease: m.Lease, messageID: m.MessageID, msg: msg, groupID: m.GroupID,
		receives: int32(min(max(m.ReceiveCount, 1), math.MaxInt32)), before: msg.Attempts,
		received: now, since: now, asked: m.Visibility, ahead: ahead(m.Ahead),
		ledger: ledger{failures: msg.Failures, max: task.DefaultMaxFailures, ordered: d.ordered},
	}
	e.sent, e.firstReceived = e.ours(m.Sent), e.ours(m.FirstReceived)
	if m.TraceHeader != "" || e.msg.Extra != nil {
		e.traceHeader, e.span = m.TraceHeader, e.msg.Trace(m.TraceHeader)
	}
	if e.msg.First.IsZero() {
		e.msg.First = m.FirstReceived
	}
	d.execs[m.Lease] = e
	if !d.ordered {
		d.duplicates.begin(e)
	}
	d.emit(Received, e, nil)
	d.noteDwell(e, now)
	d.admit(e, defects, now)
}

func (d *dispatcher) admit(e *execution, defects error, now time.Time) {
	if e.entry = d.registry[e.msg.Name]; e.entry != nil && !d.foreign(e) {
		e.ledger.max = e.entry.spec.MaxFailures
	} else {
		e.entry = d.unknownTask
	}
	e.ledger.silent = e.msg.Silent + d.silentEnds(e, now)
	known := d.recall(e, now)
	if d.ordered {
		d.join(e)
	}
	switch {
	case known == ended:
		e.fate = ended
		d.settle(e, &poller.Settle{Lease: e.lease, Send: e.next})
		return
	case known == givenUp:
		d.emit(GivenUp, e, func(ev *Event) { ev.Reason, ev.Error = e.reason, e.msg.LastError })
		d.settleGivenUp(e)
		return
	case d.cancels(e, now):
		return
	case d.drain != nil:
		d.giveBackUnrun(e, 0)
		return
	}
	if defects != nil && d.rejected(e, defects) {
		return
	}
	if d.ordered && d.regroup(e) {
		return
	}
	if e.group != nil && e.group.head() != e {
		e.enter(queued, now) // onSettled of its predecessor starts it
		return
	}
	d.place(e, now)
}

// place decides when e's first attempt is due, and puts it where it belongs.
func (d *dispatcher) place(e *execution, now time.Time) {
	t := d.timing(e)
	p := schedule(t, now)
	if p.kind == planTooLate {
		d.giveUp(e, task.ReasonTooLate, &tooLateError{due: t.due, kept: t.kept(now), retention: t.retention})
		return
	}
	if p.kind == planRenew && !d.fits(e) { // it runs as it is, or it would come again for ever
		p = plan{kind: planRun}
	}
	if p.kind != planRun {
		d.postpone(e, p)
		return
	}
	if e.entry == d.unknownTask {
		d.unknown(e)
		return
	}
	if l, ok := e.ledger.lastRun(e.msg.Silent, e.before+e.ledger.failures > 0); ok && d.fits(e) {
		e.ledger = l
		d.giveBackUnrun(e, d.isolation.pause()) // one after the other: they may have come with the one that killed
		return
	}
	if l := e.ledger; l.exhausted() || l.silentlySpent() {
		d.giveUp(e, task.ReasonExhausted, &silentError{failures: l.failures, silent: l.silent, ran: e.before > 0,
			last: e.msg.LastError})
		return
	}
	e.ledger = e.ledger.presume()
	e.suspect = d.CrashSuspects == "alone" && e.ledger.suspect()
	if e.suspect && d.giveBackSuspect(e) {
		return
	}
	if l := e.entry.spec.Lease; l > 0 {
		d.ctx.Send(d.poller, &poller.Lengthen{Lease: e.lease, For: l})
	}
	if p.wait > 0 {
		d.hold(e, p.wait, now)
		return
	}
	d.enqueue(e, now)
}

func (d *dispatcher) timing(e *execution) timing {
	due := e.due(d.WhenWindow)
	return timing{
		due: e.ours(due), written: due, marked: e.msg.Due, sent: e.sent, firstReceived: e.firstReceived, received: e.received,
		receives: int(e.receives), lease: e.asked, holdLimit: d.HoldLimit, ordered: d.ordered,
		// In order, an execution that waits blocks only its group.
		canHold:   e.entry != d.unknownTask && (d.ordered || d.held < d.MaxHeld),
		retention: d.retention(), crowded: d.crowded(), maxReceives: d.limits[""].MaxReceives,
		full: !d.ordered && !d.fits(e),
	}
}

// clockSlack is the difference of two clocks that is not worth a correction: what a
// slow answer takes.
const clockSlack = time.Second

// ahead is how far the queue's clock is taken to be ahead of ours.
func ahead(measured time.Duration) time.Duration {
	if measured.Abs() < clockSlack {
		return 0
	}
	return measured
}

// ours is a time of the queue's clock by the clock of this process.
func (e *execution) ours(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	return t.Add(-e.ahead)
}

// handedOut is when the queue gave the message out first, by its clock; zero: not known.
func (e *execution) handedOut() time.Time {
	if e.firstReceived.IsZero() {
		return time.Time{}
	}
	return e.theirs(e.firstReceived).UTC()
}

// theirs is a time of this process by the queue's clock, for others to read.
func (e *execution) theirs(t time.Time) time.Time { return t.Add(e.ahead) }

// due is the time of the first attempt of this copy, as its sender has written it;
// zero is at once.
func (e *execution) due(window time.Duration) time.Time {
	switch {
	case e.msg.Due:
		return time.Time{}
	case !e.msg.NotBefore.IsZero():
		return e.msg.NotBefore
	case e.msg.When.IsZero():
		return time.Time{}
	}
	if w := e.entry.spec.WhenWindow; w != nil {
		window = time.Duration(*w)
	}
	return e.msg.When.Add(-window)
}

// rejected handles a message's defects and reports whether no process can run it.
func (d *dispatcher) rejected(e *execution, defects error) bool {
	if fatal := task.Fatal(defects); fatal != nil {
		d.giveUp(e, task.ReasonUndecodable, fatal)
		return true
	}
	d.log.WarnContext(e.logContext(), "message with a defect", "error", defects, "message_id", e.messageID)
	return false
}

// postpone gives a message back because its time has not come. It spends nothing.
func (d *dispatcher) postpone(e *execution, p plan) {
	e.entry.meter.postponed.Add(1)
	d.emit(Postponed, e, func(ev *Event) { ev.Wait = p.wait })
	if p.kind == planHide || d.crowded() {
		d.count()
	}
	switch p.kind {
	case planHide:
		d.hides++
		d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: p.wait})
	case planRenew:
		e.msg.Due, e.msg.NotBefore = true, time.Time{}
		d.sendCopy(e, 0)
	case planDelay:
		d.sendCopy(e, p.wait)
	}
}
