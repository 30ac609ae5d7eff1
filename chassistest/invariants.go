package chassistest

import (
	"context"
	"slices"
	"time"

	"github.com/sambatech/chassis/task"
)

// The invariants that every [Storm] has, by their names; [Without] leaves some out. A
// fault touches a task when it strikes a request about it, or a process that holds its
// message. A queue that delivers at least once permits more to a task that was touched:
// what that is stands with each.
const (
	// NotLost: every task that the queue has taken ends: by a success, by its on_fail
	// task, or by a dead letter. No fault permits anything else.
	NotLost = "not lost"

	// OneEnd: a task ends once, and once more at most for each time that a fault has
	// touched it, or that an operator has sent its dead letter back.
	OneEnd = "one end"

	// LeaseHeld: a run begins only while the lease of its delivery is held: what the
	// queue was asked for and has granted, by its own clock. A message that the queue has
	// delivered twice, or that a request on its way for long has made visible, is not
	// judged.
	LeaseHeld = "lease held"

	// Early: a task that the play has sent for a time does not run before it, less the
	// window of its task, in a process with a clock that is right.
	Early = "not early"

	// AfterDelete: no run begins by a delivery that its process knows to be deleted.
	AfterDelete = "no run after its delete"

	// Overlap: no run begins while another of the same message goes on in a process that
	// lives, with a ctx that has not ended. The exceptions are those of LeaseHeld, but only
	// between two processes: one process never runs a message of a standard queue twice at
	// a time.
	Overlap = "no overlap"

	// InOrder: on a FIFO pool no run of a message begins before the task of the message
	// before it in its group has ended. No fault permits anything else.
	InOrder = "in order"

	// Budget: a dead letter says as many failures as there were: those that ended with
	// an error while their ctx stood at least, and for a task that no fault has touched
	// all that it may fail. It says no more than there were runs that have failed, or may
	// have: by a ctx that had ended, before the handler began or since, by a death, or by an
	// answer after they were abandoned. On a FIFO pool, where failures cannot be
	// written down, each delivery but the last may count as one.
	Budget = "exact budget"

	// NeverRan: a task is not dead for its failures if it never ran, and its process was
	// not suspended before a run for longer than that may take.
	NeverRan = "never dead without a run"

	// StepAgain: a step that is done does not run again: not in a later run of its delivery,
	// and not in a run of a message that carries its result. Each copy that a process makes
	// of a message carries the steps that are done. Only steps with an effect, by the ctx of
	// the step, are seen. No fault permits anything else.
	StepAgain = "no step again"

	// OneTick: a tick of chassis.Every is put on its queue once, by whichever process, and
	// once more for each return from the dead letters. A fault that lasts for longer than
	// five minutes permits another.
	OneTick = "one tick"

	// Stuck: once the faults are over all pools become empty in time: see [Within].
	Stuck = "idle in the end"

	// Stray: no effect comes after the handler that it belongs to has returned.
	Stray = "no stray effect"

	// Leak: what a handler has begun ends, once its ctx has.
	Leak = "no leak"

	// Plays: the play itself is sound.
	Plays = "sound play"
)

// Invariants are the names of the invariants that every [Storm] has.
func Invariants() []string {
	return []string{NotLost, OneEnd, LeaseHeld, Early, AfterDelete, Overlap, InOrder, Budget, NeverRan, StepAgain,
		OneTick, Stuck, Stray, Leak, Plays}
}

// comes judges a run that wants to begin.
func (b *book) comes(r *run) {
	w, now := b.w, b.w.Now()
	r.began = time.Now()
	r.fate = b.fates[r.info.ExecID]
	if r.fate == nil {
		r.fate = b.add(b.name(r.info.Task), r.info.Task, r.info.ExecID, r.info.JobID, "")
	}
	f := r.fate
	m := b.messages[r.info.MessageID]
	if m == nil {
		w.accuse(LeaseHeld, f.label, "p%d runs a message that the queue never had", r.p.number)
		return
	}
	for d := range r.p.held {
		if d.message == m && (r.delivery == nil || d.at > r.delivery.at) {
			r.delivery = d
		}
	}
	if f.due.After(time.Now()) && f.touched[Skew] == 0 {
		w.accuse(Early, f.label, "it runs %v before its time", time.Until(f.due))
	}
	if r.delivery == nil {
		for _, d := range b.receipts {
			if d.message == m && d.p == r.p && d.acked {
				w.accuse(AfterDelete, f.label, "p%d begins a run of a message that it knows to be deleted", r.p.number)
				return
			}
		}
		w.accuse(LeaseHeld, f.label, "p%d runs a message that it was not given", r.p.number)
		return
	}
	if p := m.before; p != nil && p != f && !p.ended() {
		w.accuse(InOrder, f.label, "p%d begins a run before %s, which stands before it in its group, has ended",
			r.p.number, p.label)
	}
	excused := m.doubled || m.gone
	if until := r.delivery.until; now > until && !excused {
		w.accuse(LeaseHeld, f.label, "p%d begins a run %v after its lease had ended", r.p.number, now-until)
	}
	for _, other := range f.runs {
		judged := !excused || other.p == r.p && !f.ordered
		if judged && other.delivery != nil && other.delivery.message == m && other.goesOn() {
			w.accuse(Overlap, f.label, "p%d begins a run while one of p%d goes on", r.p.number, other.p.number)
		}
	}
}

// goesOn reports whether a run goes on in a process that lives, and may.
func (r *run) goesOn() bool { return !r.over && !r.p.dead && r.ctx.Err() == nil }

// begins notes a run that begins.
func (b *book) begins(r *run) {
	r.fate.runs = append(r.fate.runs, r)
	r.p.runs[r] = true
	context.AfterFunc(r.ctx, func() { r.cutAt.Store(int64(b.w.Now())) })
}

// drainGrace is what is left of abandon_after once the time of a drain is over.
const drainGrace = 500 * time.Millisecond

// abandoned reports whether its process has given up on a run that ends now: its ctx ended
// abandon_after ago or earlier, and a failure was counted, whatever the run says. A
// suspension may keep the end of a handler that has returned in time.
func (r *run) abandoned() bool {
	grace := r.p.settings.Tasks.AbandonAfter
	if r.p.stopping {
		grace = min(grace, drainGrace)
	}
	return r.cut && r.p.world.Now() >= time.Duration(r.cutAt.Load())+grace
}

// ends notes the end of a run.
func (b *book) ends(r *run) {
	f := r.fate
	r.over = true
	r.cut = r.cut || r.ctx.Err() != nil
	delete(r.p.runs, r)
	if d := r.delivery; d != nil {
		d.unsure = d.unsure || r.cut
		d.keeps(r)
	}
	switch r.outcome = judge(r.err); r.outcome {
	case succeeded:
		f.done = true
		switch {
		case r.abandoned():
			f.doubtful++
			return
		case r.cut && f.runs[len(f.runs)-1] != r:
			return // another has taken its place
		}
		f.successes++
		b.endedTwice(f)
	case failed:
		if r.cut || r.info.FailedCall() != "" { // one of a service that is down is spared
			f.doubtful++
			return
		}
		f.failures++
		if r.delivery != nil {
			r.delivery.failed++
		}
	}
}

// endedTwice judges the number of ends of a task.
func (b *book) endedTwice(f *fate) {
	if f.ends() > 1+f.touches+f.redrives {
		b.w.accuse(OneEnd, f.label, "it has ended %d times: %d successes, %d dead letters, %d on_fail tasks; faults "+
			"have touched it %d times", f.ends(), f.successes, f.letters, f.onFails, f.touches)
	}
}

// letter judges a dead letter.
func (b *book) letter(f *fate, e *entry) {
	f.letters++
	b.endedTwice(f)
	if e.attrs[task.AttrReason] != task.ReasonExhausted {
		return
	}
	if len(f.runs) == 0 && f.unbegun == 0 {
		b.w.accuse(NeverRan, f.label, "it is a dead letter for its failures, and never ran")
		return
	}
	said, most := count(e, task.AttrFailures), f.failures+f.doubtful+f.unbegun
	for _, r := range f.runs {
		if !r.over {
			most++
		}
	}
	if f.ordered {
		most += max(f.deliveries-1, 0)
	}
	switch {
	case said > most && !slices.ContainsFunc(f.runs, func(r *run) bool { return r.delivery == nil }):
		b.w.accuse(Budget, f.label, "its dead letter says %d failures, there were %d", said, most)
	case f.touches == 0 && f.redrives == 0 && len(f.runs) > 0 &&
		(said < f.failures || said < f.runs[0].info.MaxFailures):
		b.w.accuse(Budget, f.label, "its dead letter says %d failures, there were %d, and %d are allowed", said,
			f.failures, f.runs[0].info.MaxFailures)
	}
}

// judge judges all tasks in the end.
func (b *book) judge() {
	for _, f := range b.order {
		if f.tick && f.messages > 1+f.redrives {
			b.w.accuse(OneTick, f.label, "its tick, %s, was sent %d times", f.job, f.messages)
		}
		if f.messages > 0 && !f.ended() && !b.ticks.late(f) {
			b.w.accuse(NotLost, f.label, "it has not ended: %d runs, %d failures, and nothing is left of it on the "+
				"queue", len(f.runs), f.failures)
		}
	}
	b.judgeSkips()
}
