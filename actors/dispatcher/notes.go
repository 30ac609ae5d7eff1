package dispatcher

import "time"

// lateAfter is how long after its when a run counts as late.
const lateAfter = time.Minute

// lateness bounds the records of late runs that were never scheduled: a backlog
// makes every message late.
type lateness struct {
	told   time.Time
	silent int
}

// noteDelay counts how long a message waited for its first attempt, and logs
// one that is late.
func (d *dispatcher) noteDelay(e *execution, now time.Time) {
	if e.attempts() > 0 {
		return
	}
	due := e.sent
	scheduled := e.msg.When.After(e.sent.Add(tick))
	if scheduled || e.sent.IsZero() {
		due = e.msg.When
	}
	if due.IsZero() {
		return
	}
	wait := max(now.Sub(due), 0)
	e.entry.meter.delay.add(wait)
	if wait <= lateAfter {
		return
	}
	if !scheduled && now.Sub(d.late.told) < 10*time.Second {
		d.late.silent++
		return
	}
	d.log.WarnContext(e.logContext(), "task runs late", "when", e.msg.When, "late_by", wait,
		"late_ones_not_logged", d.late.silent)
	d.late = lateness{told: now}
}

// emit tells an event, if anyone listens.
func (d *dispatcher) emit(kind EventKind, e *execution, fill func(*Event)) {
	if d.monitor.feed.active.Load() == 0 {
		return
	}
	ev := &Event{
		At: time.Now(), Kind: kind, Pool: d.pool, MessageID: e.messageID, Task: e.msg.Name, ExecID: e.msg.ExecID,
		JobID: e.msg.JobID, JobName: e.msg.JobName, Failures: e.ledger.failures,
	}
	if e.cur != nil {
		ev.Attempt = e.cur.info.Attempt
	}
	if fill != nil {
		fill(ev)
	}
	d.monitor.feed.emit(ev)
}
