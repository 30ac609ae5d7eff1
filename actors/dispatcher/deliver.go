package dispatcher

import (
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// From a delivered message to its first attempt.

// silentGrace is how many more deliveries a message of a FIFO pool gets whose
// budget was spent by such that ended without a word: there a drain is one too,
// and a message that never ran is not to be given up for it.
const silentGrace = 3

func (d *dispatcher) onDelivered(m *poller.Delivered) {
	if m.Epoch != d.epoch {
		return // it was in the mailbox over a restart: the poller has released it
	}
	d.slots.outstanding--
	now := time.Now()
	msg, defects := task.Decode(m.Body, m.Attributes)
	e := &execution{
		lease: m.Lease, messageID: m.MessageID, msg: msg, groupID: m.GroupID, receives: max(m.ReceiveCount, 1), before: msg.Attempts,
		sent: m.Sent, firstReceived: m.FirstReceived, received: now, since: now,
		ledger: ledger{carried: msg.Failures, receives: max(m.ReceiveCount, 1), max: task.DefaultMaxFailures},
	}
	if m.TraceHeader != "" || e.msg.Extra != nil {
		e.traceHeader, e.span = m.TraceHeader, e.msg.Trace(m.TraceHeader)
	}
	if e.msg.First.IsZero() {
		e.msg.First = m.FirstReceived
	}
	d.execs[m.Lease] = e
	d.emit(Received, e, nil)
	d.admit(e, defects, now)
	d.pump()
}

func (d *dispatcher) admit(e *execution, defects error, now time.Time) {
	e.entry = d.registry[e.msg.Name]
	known := e.entry != nil
	if known {
		e.ledger.max = e.entry.spec.MaxFailures
	} else {
		e.entry = d.stranger
	}
	if d.timing(e).postponed() {
		// What the receives were is known of a copy made when it is due, which a
		// FIFO pool cannot have: there none is counted.
		e.ledger.receives = 1
	}
	if d.ordered {
		d.join(e)
	}
	if d.drain != nil {
		d.giveBackUnrun(e, 0)
		return
	}
	if defects != nil && d.rejected(e, defects) {
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
	p := schedule(d.timing(e), now)
	if p.kind != planRun {
		d.postpone(e, p)
		return
	}
	if e.entry == d.stranger {
		d.unknown(e)
		return
	}
	if l := &e.ledger; d.ordered && l.exhausted() && l.receives-1 < l.max+silentGrace {
		l.receives = max(l.max-l.carried, 1)
	}
	if e.ledger.exhausted() {
		d.giveUp(e, task.ReasonExhausted, errEarlier(e))
		return
	}
	e.suspect = d.CrashSuspects == "alone" && (e.ledger.receives > 1 && !d.hidden.back(e.messageID, e.receives) || e.msg.Suspect)
	if e.suspect && (d.alone != nil || len(d.suspects) > 0) && d.part(e) {
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
	return timing{
		due: e.due(d.WhenWindow), marked: e.msg.Due, sent: e.sent, firstReceived: e.firstReceived, received: e.received,
		receives: e.receives, ordered: d.ordered, retention: d.RetentionPeriod,
		crowded: d.crowded(),
	}
}

// due is the time of the first attempt of this copy; zero is at once.
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

// rejected deals with a message's defects: true if it can be run by nobody.
func (d *dispatcher) rejected(e *execution, defects error) bool {
	if fatal := task.Fatal(defects); fatal != nil {
		d.giveUp(e, task.ReasonUndecodable, fatal)
		return true
	}
	d.log.WarnContext(e.logContext(), "message with a defect", "error", defects, "message_id", e.messageID)
	return false
}

// unknown postpones a message that is due and whose task nobody here knows:
// another instance may, or this one after its next deployment.
func (d *dispatcher) unknown(e *execution) {
	d.emit(Unrecognised, e, nil)
	seen := e.msg.Unknown + e.ledger.receives
	if seen > d.UnknownTasksRetries {
		d.giveUp(e, task.ReasonUnknown, &UnknownTaskError{Name: e.msg.Name, Deliveries: seen})
		return
	}
	e.entry.meter.postponed.Add(1)
	if d.ordered {
		d.hide(e, d.UnknownTasksDelay)
		return
	}
	e.msg.Unknown = seen
	d.reissue(e, d.UnknownTasksDelay, e.ledger.spent())
}

// postpone gives a message back whose time has not come. It spends nothing.
func (d *dispatcher) postpone(e *execution, p plan) {
	e.entry.meter.postponed.Add(1)
	d.emit(Postponed, e, func(ev *Event) { ev.Wait = p.wait })
	if p.kind == planHide || d.crowded() {
		d.count()
	}
	switch p.kind {
	case planHide:
		d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: p.wait})
	case planRenew:
		e.msg.Due, e.msg.NotBefore = true, time.Time{}
		e.msg.Counted = true
		d.sendCopy(e, 0)
	case planDelay:
		d.sendCopy(e, p.wait)
	}
}

// enqueue makes e wait for a slot.
func (d *dispatcher) enqueue(e *execution, now time.Time) {
	e.enter(queued, now)
	d.ready.push(e)
}

// pump starts what may start, and tells the poller the demand that is left.
func (d *dispatcher) pump() {
	now := time.Time{}
	for d.alone == nil && d.drain == nil && !d.paused {
		if len(d.suspects) > 0 {
			e := d.suspects[0]
			if d.limited(e) { // paused meanwhile
				d.unqueue(e)
				d.park(e, time.Now())
				continue
			}
			d.partOthers()
			if !d.mayRunAlone() {
				break
			}
			d.suspects = d.suspects[1:]
			d.alone = e
			d.start(e, time.Now())
			continue
		}
		if !d.slots.free() || !d.permitted() {
			break
		}
		e := d.ready.pop()
		if e == nil {
			break
		}
		if now.IsZero() {
			now = time.Now()
		}
		switch {
		case d.limited(e):
			d.park(e, now)
		case e.mustBeAlone():
			d.suspects = append(d.suspects, e)
			d.arm(e, d.HoldLimit)
		default:
			d.usePermit()
			d.wary = false
			d.start(e, now)
		}
	}
	d.tellShares()
	d.tellDemand()
}

// part gives a crash suspect back while another one runs or is about to, by a
// copy that keeps its count: waiting here it would be spent a failure for
// nothing if that one kills the process. On a FIFO pool, where there are no
// copies, it stays.
func (d *dispatcher) part(e *execution) bool {
	if d.ordered {
		return false
	}
	d.wary = true
	d.giveBackUnrun(e, 0)
	return true
}

// partOthers parts all suspects but the first.
func (d *dispatcher) partOthers() {
	for _, e := range slices.Clone(d.ready.heap) {
		if e.mustBeAlone() && !d.ordered {
			d.unqueue(e)
			d.part(e)
		}
	}
}

func (d *dispatcher) tellDemand() {
	choked := d.monitor.hung.Load() >= int64(d.MaxAbandoned)
	d.noteChoked(choked)
	blocked := choked || d.drain != nil || d.paused || d.alone != nil || len(d.suspects) > 0
	free, ahead := d.permits.free, d.permits.ahead
	if d.wary {
		free, ahead = min(free, 1), 0
	}
	if n := d.slots.credits(d.ready.len(), free, ahead, blocked); n != 0 {
		d.ctx.Send(d.poller, &poller.Want{Credits: n})
	}
	d.monitor.queued.Store(int64(d.ready.len() + len(d.suspects) + d.parked))
	if d.drain == nil && d.MaxWorkers > d.Workers && !d.slots.free() {
		d.count()
	}
	d.keepTicking()
}

// noteChoked turns the status to ERROR while too many handlers are abandoned,
// and back.
func (d *dispatcher) noteChoked(choked bool) {
	from, to := Running, Failing
	if !choked {
		from, to = Failing, Running
	}
	if d.monitor.status.CompareAndSwap(int32(from), int32(to)) && choked {
		d.log.Error("no more tasks are taken: too many handlers were abandoned and still run", "max_abandoned", d.MaxAbandoned)
	}
}

func (d *dispatcher) limited(e *execution) bool {
	t := e.entry
	switch {
	case t.paused:
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
	if d.parked+d.held >= d.MaxHeld && !d.ordered {
		d.giveBackUnrun(e, d.UnknownTasksDelay)
		return
	}
	d.parked++
	e.enter(queued, now)
	e.entry.parked = append(e.entry.parked, e)
	d.claim(e.entry)
}

// unpark lets n of t's parked executions compete for slots again.
func (d *dispatcher) unpark(t *entry, n int) {
	for ; n > 0 && len(t.parked) > 0; n-- {
		e := t.parked[0]
		t.parked = t.parked[1:]
		d.parked--
		d.ready.push(e)
	}
}

// start begins the next attempt of e.
func (d *dispatcher) start(e *execution, now time.Time) {
	e.disarm()
	a := newAttempt(e, d.core, d.self, d.system, now)
	d.slots.running++
	e.entry.running++
	d.monitor.running.Add(1)
	e.entry.meter.running.Add(1)
	e.entry.meter.started.Add(1)
	e.cur = a
	e.until = time.Time{}
	e.enter(running, now)
	d.noteDelay(e, now)
	d.emit(Started, e, nil)
	d.sendToChild(e, a)
	if limit := e.entry.spec.Deadline; limit > 0 {
		d.watch(a, limit)
	}
}
