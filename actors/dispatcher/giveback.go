package dispatcher

import (
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/uuid"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Giving a message back, or up.

// hide gives e back by its visibility time-out. Nothing is written down by it: it
// is for FIFO pools, and for what no copy can be made of. In a drain the first delivery is
// over at once, for others may run it. A later one is hidden until this process receives
// no more: it would get the message again, and that may be taken for one more silent end.
func (d *dispatcher) hide(e *execution, wait time.Duration) {
	d.journals.keep(e.messageID, e.journal)
	d.noteGivenBack(e, wait, "hidden")
	d.hides++
	d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: wait,
		AfterReceives: d.drain != nil && d.deliveries(e, time.Now()).costly()})
}

// reissue gives e back by a fresh copy that carries its ledger, to be run after
// wait.
func (d *dispatcher) reissue(e *execution, wait time.Duration) {
	d.noteGivenBack(e, wait, "copied")
	longest := longestDelay(d.retention())
	e.rest = time.Now().Add(wait)
	if wait > longest {
		e.msg.NotBefore, e.msg.Due = e.theirs(time.Now().Add(wait)), false
	}
	d.sendCopy(e, wait)
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
	d.reissue(e, wait)
}

// sendCopy sends a fresh copy of e, to be seen after wait or after as much of it
// as a copy can be delayed, and deletes the old one. The copy carries the ledger.
// Where that does not fit the error text goes first; a message that has no room
// for a count at all is hidden instead, or given up where the queue would drop it
// meanwhile.
func (d *dispatcher) sendCopy(e *execution, wait time.Duration) {
	e.record()
	limit := d.maxSize("")
	attrs, size := fitCopy(&e.msg, limit)
	if size > limit && len(e.msg.Steps) > 0 {
		attrs, size = d.fitSteps(e, size, limit)
	}
	if size > limit {
		d.hideOversized(e, wait, size, limit)
		return
	}
	e.fate = copied
	d.settle(e, &poller.Settle{Lease: e.lease, Send: []poller.Outgoing{{
		Body: e.msg.Body, Attributes: attrs, GroupID: e.groupID, TraceHeader: e.traceHeader,
		Delay: min(ceilSecond(max(wait, 0)), longestDelay(d.retention())),
	}}})
}

// fits reports whether a copy of e that is due fits into the queue, at least without
// its error text.
func (d *dispatcher) fits(e *execution) bool {
	if leastSize(&e.msg)+ownSize+e.stepsSize() <= d.maxSize("") {
		return true // as nearly all do; the rest costs an encoding
	}
	m := e.recorded()
	m.Due, m.NotBefore = true, time.Time{}
	_, size := fitCopy(&m, d.maxSize(""))
	return size <= d.maxSize("")
}

// ownSize bounds what the names and values of our own attributes take in a copy without
// an error text.
const ownSize = 1 << 10

// leastSize is the size of what a message cannot lose in a copy, in bytes.
func leastSize(m *task.Message) int {
	return task.Size(m.Body, m.Extra) + task.Size(m.Envelope, m.Newer) + len(m.Unique) + len(m.Tenant) +
		len(m.Name) + len(m.ExecID) + len(m.JobID) + len(m.JobName) + len(m.Reply)
}

// hideOversized gives back a message that has no room for a copy, and may not wait in
// place.
func (d *dispatcher) hideOversized(e *execution, wait time.Duration, size, limit int) {
	now := time.Now()
	left := min(hideLeft(e.received, now), d.timing(e).kept(now).Sub(now))
	if left <= 0 {
		d.giveUp(e, task.ReasonTooLate, &tooLateError{full: true, err: e.lastError(), due: now.Add(wait),
			kept: d.timing(e).kept(now), retention: d.retention()})
		return
	}
	d.log.WarnContext(e.logContext(),
		"the message has no room for a copy that carries its count: it is hidden, and its failures count as "+
			"silent ends. Send less in the body",
		"bytes", size, "max_bytes", limit, "message_id", e.messageID)
	d.hides++
	d.journals.keep(e.messageID, e.journal)
	d.settle(e, &poller.Settle{Lease: e.lease, Release: true, Visible: min(max(wait, 0), left)})
}

// giveUp ends a message that will not be run again: its on_fail task, or a
// dead letter, sent before it is deleted.
func (d *dispatcher) giveUp(e *execution, reason string, err error) {
	e.entry.meter.givenUp.Add(1)
	e.msg.LastError = task.ErrorText(err.Error())
	d.log.ErrorContext(e.logContext(), "task given up", "reason", reason, "failures", e.ledger.failures,
		"max_failures", e.ledger.max,
		"silent_ends", e.ledger.silent, "error", err, "message_id", e.messageID)
	d.emit(GivenUp, e, func(ev *Event) { ev.Reason, ev.Error = reason, err.Error() })
	e.reason = reason
	d.settleGivenUp(e)
}

// settleGivenUp sends what a message that is given up leaves behind, and deletes it.
func (d *dispatcher) settleGivenUp(e *execution) {
	reason := e.reason
	e.fate = givenUp
	e.record()
	e.msg.Attempts = e.attempts()
	settle := &poller.Settle{Lease: e.lease}
	target := e.entry.spec.OnFail
	switch endOf(reason, target.Name != "", d.Exhausted == "finish") {
	case endOnFail:
		settle.Send = []poller.Outgoing{d.onFail(e, target)}
	case endDead:
		settle.Send = []poller.Outgoing{d.deadLetter(e, reason)}
	}
	settle.Send = append(settle.Send, d.followers(e, reason, nil)...)
	d.settle(e, settle)
}

func (d *dispatcher) onFail(e *execution, target task.Target) poller.Outgoing {
	next := task.Message{
		Name: target.Name, ExecID: uuid.NewString(), JobID: e.msg.JobID, JobName: e.msg.JobName, When: time.Now(),
		Body: e.msg.Body, LastError: e.msg.LastError, Extra: unfollowed(e.msg.Extra), Envelope: e.msg.Envelope,
		Tenant: e.msg.Tenant,
	}
	return d.outgoing(e, &next, target.Pool)
}

func (d *dispatcher) deadLetter(e *execution, reason string) poller.Outgoing {
	dead := e.msg
	dead.Reason, dead.NotBefore, dead.Due, dead.Reply = reason, time.Time{}, false, ""
	return d.outgoing(e, &dead, d.deadPool)
}

func (d *dispatcher) outgoing(e *execution, m *task.Message, pool string) poller.Outgoing {
	attrs := fitEnd(m, d.maxSize(pool))
	out := poller.Outgoing{Pool: pool, Body: m.Body, Attributes: attrs, GroupID: d.groupFor(e, m, pool),
		TraceHeader: e.traceHeader}
	if fifo := isFIFO(pool) || pool == "" && d.ordered; fifo {
		// The message id, not the exec_id: two messages may have the same one, and SQS would
		// silently drop the second.
		out.DedupID = e.messageID
		if out.GroupID == "" {
			out.GroupID = e.messageID
		}
	}
	return out
}

type attributes = map[string]types.MessageAttributeValue

// fitCopy returns the attributes of m for a copy of at most so many bytes, and the
// size with them. Where that is too much, m loses its error text and the time of
// its first receive; what does not fit then has no copy.
func fitCopy(m *task.Message, most int) (attrs attributes, size int) {
	attrs = m.Attributes()
	if size = task.Size(m.Body, attrs); size > most {
		m.LastError, m.First = "", time.Time{}
		attrs = m.Attributes()
		size = task.Size(m.Body, attrs)
	}
	return attrs, size
}

// fitEnd returns the attributes of m for a message that ends it, a dead letter or
// an on_fail task, of at most so many bytes where that can be: with half of the
// error text and half of that, then without all that is known of its attempts,
// for a dead letter without a reason is better than none. Steps go before the error text
// if they do not fit without it.
func fitEnd(m *task.Message, most int) (attrs attributes) {
	if bare := *m; len(m.Steps) > 0 {
		if bare.LastError = ""; task.Size(m.Body, bare.Attributes()) > most {
			m.Steps = nil
		}
	}
	attrs = m.Attributes()
	for task.Size(m.Body, attrs) > most && len(m.LastError) > 1 {
		m.LastError = m.LastError[:len(m.LastError)/2]
		attrs = m.Attributes()
	}
	if task.Size(m.Body, attrs) > most {
		m.LastError, m.Reason, m.First = "", "", time.Time{}
		m.Attempts, m.Failures, m.Counted, m.Unknown, m.Silent = 0, 0, false, 0, 0
		attrs = m.Attributes()
	}
	return attrs
}

// end is what becomes of a message that is given up.
type end uint8

const (
	endDead    end = iota // a dead letter is sent
	endOnFail             // its on_fail task is sent
	endDeleted            // nothing is sent
)

// endOf returns what becomes of a message that is given up for a reason. An
// on_fail task stands for a task that has run; what could not be read or kept is a
// dead letter.
func endOf(reason string, onFail, finish bool) end {
	switch {
	case onFail && (reason == task.ReasonExhausted || reason == task.ReasonCancelled):
		return endOnFail
	case finish && reason == task.ReasonExhausted:
		return endDeleted
	}
	return endDead
}
