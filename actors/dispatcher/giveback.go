package dispatcher

import (
	"time"

	"github.com/google/uuid"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Giving a message back, or up.

// hide gives e back by its visibility time-out.
func (d *dispatcher) hide(e *execution, wait time.Duration) {
	if d.CrashSuspects == "alone" {
		d.hidden.add(e.messageID, e.receives+1)
	}
	d.noteGivenBack(e, wait, "hidden")
	d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: wait})
}

// reissue gives e back by a fresh copy that carries failures, to be run after
// wait.
func (d *dispatcher) reissue(e *execution, wait time.Duration, failures int) {
	d.noteGivenBack(e, wait, "copied")
	e.msg.Attempts = e.attempts()
	e.msg.Failures, e.msg.Counted = failures, true
	e.msg.Suspect = (e.suspect || e.msg.Suspect) && e.runs == 0
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
		d.log.WarnContext(e.logContext(), "message too full for a copy that carries its count: hidden instead, which spends a failure",
			"bytes", len(e.msg.Body))
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
	d.log.ErrorContext(e.logContext(), "task given up",
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
	if task.Size(m.Body, attrs) > task.MaxSize { // better without a reason than not at all
		m.LastError, m.Reason, m.First = "", "", time.Time{}
		m.Attempts, m.Failures, m.Counted, m.Unknown, m.Suspect = 0, 0, false, 0, false
		attrs = m.Attributes()
	}
	out := poller.Outgoing{Pool: pool, Body: m.Body, Attributes: attrs, GroupID: e.groupID, TraceHeader: e.traceHeader}
	if fifo := isFIFO(pool) || pool == "" && d.ordered; fifo {
		// By the message, not the exec_id: two messages may have the same, of
		// which SQS would drop the second without a word.
		out.DedupID = e.messageID
		if out.GroupID == "" {
			out.GroupID = e.messageID
		}
	}
	return out
}
