package dispatcher

import (
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// tenant is for whom e is done, or "". On a standard pool each message group is a tenant,
// also one that another program has set.
func (c *core) tenant(e *execution) string {
	if e.msg.Tenant != "" || c.ordered {
		return e.msg.Tenant
	}
	return e.groupID
}

// regroup moves a message of a limited tenant into one of its groups, and reports whether
// it had to: it was sent by a process that does not know the limit, or has another one. A
// message that is moved has not run from where it was, so what runs is bounded.
func (d *dispatcher) regroup(e *execution) bool {
	n := d.Limits.Tenant.Running
	if n == 0 || !d.ordered || e.msg.Tenant == "" || task.IsGroupOfTenant(e.groupID, e.msg.Tenant, n) {
		return false
	}
	to := task.GroupOfTenant(e.msg.Tenant, e.msg.ExecID, n)
	if !d.moved {
		d.moved = true
		d.log.Info("messages of tenants are moved to other message groups: their senders know another limit than "+
			"limits.tenant.running here, or none. Each costs a send and a delete more", "running", n,
			"tenant", e.msg.Tenant, "from", e.groupID, "to", to, "message_id", e.messageID)
	}
	e.record()
	attrs := fitEnd(&e.msg, d.maxSize(""))
	e.fate = copied
	e.entry.meter.givenBack.Add(1)
	d.emit(GivenBack, e, func(ev *Event) { ev.Reason = "moved to another message group" })
	// By the message id: a second move of the same message, after a crash, is not taken.
	d.settle(e, &poller.Settle{Lease: e.lease, Send: []poller.Outgoing{{
		Body: e.msg.Body, Attributes: attrs, GroupID: to, DedupID: e.messageID, TraceHeader: e.traceHeader,
	}}})
	return true
}

// groupFor is the message group of what is sent to a pool in the place of e.
func (d *dispatcher) groupFor(e *execution, m *task.Message, pool string) string {
	n := d.Limits.Tenant.Running
	switch {
	case n == 0 || m.Tenant == "":
		return e.groupID
	case pool == "":
		return task.GroupOfTenant(m.Tenant, m.ExecID, n)
	}
	return m.Tenant // that pool has limits of its own
}
