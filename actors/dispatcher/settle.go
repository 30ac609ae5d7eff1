package dispatcher

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// From the end of an attempt to the end of the lease.

func contextCause(a *attempt) error { return context.Cause(a.ctx) }

// onAnswered is the end of an attempt, whoever told it.
func (d *dispatcher) onAnswered(a *attempt) {
	e := a.exec
	if e.cur != a || d.execs[e.lease] != e {
		return // of an earlier incarnation
	}
	d.release(a)
	var cause error // why the ctx had ended before its handler
	if a.out.kind != outDone {
		cause = context.Cause(a.ctx)
	}
	a.cancel(nil)
	if a.stop != nil {
		a.stop()
	}
	e.cur = nil
	e.runs++
	d.slots.running--
	e.entry.running--
	d.monitor.running.Add(-1)
	e.entry.meter.running.Add(-1)
	e.entry.meter.took.add(a.took)
	if d.alone == e {
		d.alone = nil
	}
	d.unpark(e.entry, 1)
	if d.drain != nil {
		d.drain.finished++
	}
	d.conclude(e, a, d.overruled(e, a, cause))
	d.pump()
}

// overruled is a's outcome, or what an operator or a drain made of it. A
// handler that is done is done.
func (d *dispatcher) overruled(e *execution, a *attempt, cause error) outcome {
	out := a.out
	if out.kind == outDone {
		return out
	}
	if e.forced != nil {
		forced := *e.forced
		e.forced = nil
		return forced
	}
	if out.kind == outFailed && errors.Is(cause, ErrDrained) && !a.hung {
		return outcome{kind: outInterrupted, err: out.err}
	}
	if out.kind == outFailed && cause != nil && !errors.Is(out.err, cause) {
		out.err = &endedError{err: out.err, cause: cause}
	}
	return out
}

// endedError adds to a handler's error why its ctx had ended.
type endedError struct{ err, cause error }

func (e *endedError) Error() string   { return e.err.Error() + " (" + e.cause.Error() + ")" }
func (e *endedError) Unwrap() []error { return []error{e.err, e.cause} }

func (d *dispatcher) conclude(e *execution, a *attempt, out outcome) {
	now := time.Now()
	d.note(e, a, out)
	if e.lost {
		if out.kind == outDone { // perhaps the handle still works
			d.settle(e, &poller.Settle{Lease: e.lease})
			return
		}
		d.drop(e)
		return
	}
	if a.hung && d.drain != nil && d.drain.over {
		d.drain.released++
		if e.ledger.here++; e.ledger.here == 1 || d.ordered {
			d.hide(e, 0)
		} else {
			d.reissue(e, 0, e.ledger.spent())
		}
		return
	}
	var verdict verdict
	e.ledger, verdict = decide(e.ledger, out, e.entry.spec.Wait, room{
		holdLimit: d.HoldLimit, ordered: d.ordered, leaseLeft: hideLeft(e.received, now),
		canHold:   d.drain == nil && !a.hung && (d.held < d.MaxHeld || d.ordered),
		spendOpen: d.spends(e.entry),
	})
	if out.kind == outFailed || out.kind == outRefused {
		e.msg.LastError = task.ErrorText(out.err.Error())
	}
	switch verdict.kind {
	case finish:
		d.settle(e, &poller.Settle{Lease: e.lease})
	case hold:
		d.hold(e, verdict.wait, now)
	case hide:
		d.hide(e, verdict.wait)
	case reissue:
		d.reissue(e, verdict.wait, verdict.failures)
	case giveUp:
		d.giveUp(e, verdict.reason, out.err)
	}
}

func (d *dispatcher) spends(t *entry) bool {
	if t.spec.BreakerSpend != nil {
		return *t.spec.BreakerSpend
	}
	return d.OpenBreakerSpends
}

// note counts and tells how an attempt ended.
func (d *dispatcher) note(e *execution, a *attempt, out outcome) {
	m := e.entry.meter
	kind := Interrupted
	switch out.kind {
	case outDone:
		m.succeeded.Add(1)
		kind = Succeeded
	case outFailed, outCancelled, outUndecodable:
		m.failed.Add(1)
		kind = AttemptFailed
		var p *task.PanicError
		if errors.As(out.err, &p) {
			m.panicked.Add(1)
		}
	default:
		m.interrupted.Add(1)
	}
	d.emit(kind, e, func(ev *Event) {
		ev.Attempt, ev.Took = a.info.Attempt, a.took
		if out.err != nil {
			ev.Error = out.err.Error()
		}
	})
}

// wake ends a wait; of an older generation it is ignored.
type wake struct {
	e   *execution
	gen uint32
}

func (d *dispatcher) arm(e *execution, wait time.Duration) {
	e.disarm()
	root, self, w := d.system.Root, d.self, &wake{e: e, gen: e.gen}
	e.timer = time.AfterFunc(wait, func() { root.Send(self, w) })
}

// hold lets e wait in place: its child suspended, its lease kept, no slot held.
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
		d.enqueue(e, time.Now())
	}
	d.pump()
}

// hide gives e back by its visibility time-out.
func (d *dispatcher) hide(e *execution, wait time.Duration) {
	d.hidden.add(e.messageID, e.receives+1)
	d.noteGivenBack(e, wait, "hidden")
	d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: wait})
}

// reissue gives e back by a fresh copy that carries failures, to be run after
// wait.
func (d *dispatcher) reissue(e *execution, wait time.Duration, failures int) {
	d.noteGivenBack(e, wait, "copied")
	e.msg.Attempts = e.attempts()
	e.msg.Failures, e.msg.Counted = failures, true
	if wait > maxDelay {
		e.msg.NotBefore, e.msg.Due = time.Now().Add(wait), false
	}
	d.sendCopy(e, min(ceilSecond(max(wait, 0)), maxDelay))
}

func (d *dispatcher) noteGivenBack(e *execution, wait time.Duration, how string) {
	if d.drain != nil {
		d.drain.givenBack++
	}
	e.entry.meter.givenBack.Add(1)
	d.emit(GivenBack, e, func(ev *Event) { ev.Wait, ev.Reason = wait, how })
}

// giveBackUnrun gives back what has not run (or not failed) since it was
// delivered: nothing is spent.
func (d *dispatcher) giveBackUnrun(e *execution, wait time.Duration) {
	if d.ordered {
		d.hide(e, wait)
		return
	}
	d.reissue(e, wait, e.ledger.spent())
}

// sendCopy sends a fresh copy of e and deletes the old one. A message so full
// that the copy's attributes do not fit loses its error text, and then is hidden
// instead.
func (d *dispatcher) sendCopy(e *execution, delay time.Duration) {
	attrs := e.msg.Attributes()
	if task.Size(e.msg.Body, attrs) > task.MaxSize {
		e.msg.LastError = ""
		attrs = e.msg.Attributes()
	}
	if task.Size(e.msg.Body, attrs) > task.MaxSize {
		d.log.Warn("message too full for a copy that carries its count: hidden instead, which spends a failure",
			"task", e.msg.Name, "exec_id", e.msg.ExecID, "bytes", len(e.msg.Body))
		d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: delay})
		return
	}
	d.settle(e, &poller.Settle{Lease: e.lease, Send: []poller.Outgoing{{
		Body: e.msg.Body, Attributes: attrs, Delay: delay, GroupID: e.groupID, TraceHeader: e.traceHeader,
	}}})
}

// giveUp ends a message that will not be run again: its on_fail task, or a
// dead letter, sent before it is deleted.
func (d *dispatcher) giveUp(e *execution, reason string, err error) {
	e.entry.meter.givenUp.Add(1)
	e.msg.LastError, e.msg.Attempts, e.msg.Failures, e.msg.Counted = task.ErrorText(err.Error()), e.attempts(), e.ledger.spent(), true
	d.log.Error("task given up", "task", e.msg.Name, "exec_id", e.msg.ExecID, "job_id", e.msg.JobID, "job_name", e.msg.JobName,
		"reason", reason, "failures", e.ledger.spent(), "max_failures", e.ledger.max, "error", err, "message_id", e.messageID)
	d.emit(GivenUp, e, func(ev *Event) { ev.Reason, ev.Error = reason, err.Error() })
	settle := &poller.Settle{Lease: e.lease}
	target := e.entry.spec.OnFail
	switch {
	case target.Name != "" && (reason == task.ReasonExhausted || reason == task.ReasonCancelled):
		settle.Send = []poller.Outgoing{d.onFail(e, target)}
	case d.Exhausted == "finish" && reason == task.ReasonExhausted:
	default:
		settle.Send = []poller.Outgoing{d.deadLetter(e, reason)}
	}
	d.settle(e, settle)
}

func (d *dispatcher) onFail(e *execution, target task.Target) poller.Outgoing {
	next := task.Message{
		Name: target.Name, ExecID: uuid.NewString(), JobID: e.msg.JobID, JobName: e.msg.JobName, When: time.Now(),
		Body: e.msg.Body, LastError: e.msg.LastError, Extra: e.msg.Extra,
	}
	return d.outgoing(e, &next, target.Pool)
}

func (d *dispatcher) deadLetter(e *execution, reason string) poller.Outgoing {
	dead := e.msg
	dead.Reason, dead.NotBefore, dead.Due = reason, time.Time{}, false
	return d.outgoing(e, &dead, d.deadPool)
}

func (d *dispatcher) outgoing(e *execution, m *task.Message, pool string) poller.Outgoing {
	attrs := m.Attributes()
	for limit := len(m.LastError) / 2; task.Size(m.Body, attrs) > task.MaxSize && limit > 0; limit /= 2 {
		m.LastError = m.LastError[:limit]
		attrs = m.Attributes()
	}
	out := poller.Outgoing{Pool: pool, Body: m.Body, Attributes: attrs, GroupID: e.groupID, TraceHeader: e.traceHeader}
	if fifo := isFIFO(pool) || pool == "" && d.ordered; fifo {
		out.DedupID = m.ExecID
		if out.GroupID == "" {
			out.GroupID = m.ExecID
		}
	}
	return out
}

// settle ends e's lease; the poller answers with Settled.
func (d *dispatcher) settle(e *execution, s *poller.Settle) {
	e.disarm()
	d.dismiss(e)
	e.enter(ending, time.Now())
	e.returned = e.returned || s.Release
	d.settling++
	d.monitor.settling.Add(1)
	d.ctx.Send(d.poller, s)
}

func (d *dispatcher) onSettled(m *poller.Settled) {
	e := d.execs[m.Lease]
	if e == nil || e.phase != ending {
		return // of an earlier incarnation
	}
	d.settling--
	d.monitor.settling.Add(-1)
	if m.Err != nil {
		d.monitor.unsettl.Add(1)
		e.returned = true
		d.log.Warn("a message could not be settled: it will be delivered again", "error", m.Err,
			"task", e.msg.Name, "exec_id", e.msg.ExecID, "message_id", e.messageID)
		d.emit(SettleFailed, e, func(ev *Event) { ev.Error = m.Err.Error() })
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
}

// drop forgets a message whose lease is lost.
func (d *dispatcher) drop(e *execution) {
	e.disarm()
	d.dismiss(e)
	d.forget(e)
	d.drainProgress()
}

// onLeaseExpiring: SQS's 12 hours are nearly over. A fresh copy gets 12 more.
func (d *dispatcher) onLeaseExpiring(m *poller.LeaseExpiring) {
	e := d.execs[m.Lease]
	if e == nil || e.lost {
		return
	}
	switch e.phase {
	case running:
		if !e.cur.graced {
			d.interrupt(e.cur, ErrLeaseEnd)
		}
	case waiting:
		rest := max(time.Until(e.until), 0)
		d.unhold(e)
		d.giveBackUnrun(e, rest)
	case queued:
		d.unqueue(e)
		d.giveBackUnrun(e, 0)
	}
	d.pump()
}

func (d *dispatcher) onLeaseLost(m *poller.LeaseLost) {
	e := d.execs[m.Lease]
	if e == nil || e.lost {
		return
	}
	e.lost = true
	d.monitor.lost.Add(1)
	d.log.Warn("lease lost: the message may be delivered to another process", "error", m.Err,
		"task", e.msg.Name, "exec_id", e.msg.ExecID, "phase", e.phase.String())
	d.emit(LostLease, e, nil)
	switch e.phase {
	case running:
		d.interrupt(e.cur, ErrLeaseLost)
	case waiting:
		d.unhold(e)
		d.drop(e)
	case queued:
		d.unqueue(e)
		d.drop(e)
	}
	d.pump()
}
