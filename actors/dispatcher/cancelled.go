package dispatcher

import (
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// mostCancelled bounds the cancels that are remembered until their message comes; the
// oldest makes room.
const mostCancelled = 10_000

// cancels ends an execution that was cancelled before its message came, and reports whether
// there was one.
func (d *dispatcher) cancels(e *execution, now time.Time) bool {
	out, found := d.cancelled.Get(e.msg.ExecID, now)
	if found {
		d.conclude(e, &attempt{exec: e, info: task.Info{Attempt: e.attempts()}}, out)
	}
	return found
}

// endCancelled ends an execution that was cancelled with no trace to be left: its message is
// deleted, after what follows it was sent.
func (d *dispatcher) endCancelled(e *execution, out outcome) {
	e.msg.LastError = task.ErrorText(out.err.Error())
	d.log.InfoContext(e.logContext(), "the execution is cancelled, and its message deleted", "reason", out.err,
		"message_id", e.messageID)
	d.emit(Cancelled, e, func(ev *Event) { ev.Reason, ev.Error = task.ReasonCancelled, out.err.Error() })
	e.fate = ended
	e.next = d.followers(e, task.ReasonCancelled, nil)
	d.settle(e, &poller.Settle{Lease: e.lease, Send: e.next})
}
