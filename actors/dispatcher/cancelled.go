package dispatcher

import (
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Executions that are cancelled before their message comes. Pure, but for the end.

// mostCancelled bounds what is remembered of cancels; the oldest makes room.
const mostCancelled = 10_000

// cancelled remembers cancels by exec_id, each until a time.
type cancelled struct {
	byID  map[string]order
	order []string // of coming; an id that was cancelled twice stands there once
}

// order is a cancel that waits for its message.
type order struct {
	until time.Time
	out   outcome
}

// add remembers a cancel.
func (c *cancelled) add(execID string, until time.Time, out outcome) {
	if c.byID == nil {
		c.byID = map[string]order{}
	}
	execID = strings.Clone(execID)
	if _, known := c.byID[execID]; !known {
		for len(c.order) >= mostCancelled {
			delete(c.byID, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, execID)
	}
	c.byID[execID] = order{until, out}
}

// of returns the outcome of a message that comes now, if it was cancelled. Without
// cancels, as nearly always, it costs nothing.
func (c *cancelled) of(execID string, now time.Time) (out outcome, found bool) {
	if len(c.byID) == 0 {
		return outcome{}, false
	}
	o, found := c.byID[execID]
	if !found || !now.Before(o.until) {
		c.expire(now)
		return outcome{}, false
	}
	return o.out, true
}

// expire forgets the oldest that hold no more.
func (c *cancelled) expire(now time.Time) {
	for len(c.order) > 0 && !now.Before(c.byID[c.order[0]].until) {
		delete(c.byID, c.order[0])
		c.order = c.order[1:]
	}
}

// cancels ends an execution that was cancelled before its message came, and reports whether
// there was one.
func (d *dispatcher) cancels(e *execution, now time.Time) bool {
	out, found := d.cancelled.of(e.msg.ExecID, now)
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
