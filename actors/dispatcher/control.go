package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// The operator's commands, the clock ticks.

// onResize keeps what scaling has added, as far as the new limits let it.
func (d *dispatcher) onResize(m *Resize) {
	next := d.Settings
	next.Workers, next.MaxWorkers, next.ScaleFactor = m.Workers, m.MaxWorkers, m.ScaleFactor
	if err := next.Validate(); err != nil {
		respond(d, m.reply, &Controlled{Err: err})
		return
	}
	d.Settings = next.withDefaults()
	d.slots.workers = min(max(d.slots.workers, d.Workers), max(d.MaxWorkers, d.Workers))
	d.monitor.workers.Store(int64(d.slots.workers))
	respond(d, m.reply, &Controlled{Found: 1})
	d.pump()
	d.keepTicking()
}

func (d *dispatcher) onPause(m *Pause) {
	r := &Controlled{Found: 1}
	if t := d.registry[m.Task]; m.Task == "" {
		d.paused = true
		d.monitor.paused.Store(true)
	} else if t != nil {
		t.paused = true
		t.meter.paused.Store(true)
	} else {
		r = unknownName("pause", m.Task)
	}
	respond(d, m.reply, r)
	d.pump()
}

func (d *dispatcher) onResume(m *Resume) {
	r := &Controlled{Found: 1}
	if t := d.registry[m.Task]; m.Task == "" {
		d.paused = false
		d.monitor.paused.Store(false)
	} else if t != nil {
		t.paused = false
		t.meter.paused.Store(false)
		d.unpark(t, len(t.parked))
	} else {
		r = unknownName("resume", m.Task)
	}
	respond(d, m.reply, r)
	d.pump()
}

func unknownName(what, name string) *Controlled {
	return &Controlled{Err: fmt.Errorf("%s: no task %q is registered", what, name)}
}

func (d *dispatcher) onCancelExecution(m *CancelExecution) {
	err := ErrCancelled
	if m.Reason != "" {
		err = fmt.Errorf("%w: %s", ErrCancelled, m.Reason)
	}
	d.overrule(m.ExecID, m.reply, outcome{kind: outCancelled, err: err})
}

func (d *dispatcher) onSnoozeExecution(m *SnoozeExecution) {
	d.overrule(m.ExecID, m.reply, outcome{kind: outSnoozed, wait: bounded(m.For), err: ErrSnoozed})
}

// overrule makes out the outcome of every execution of execID.
func (d *dispatcher) overrule(execID string, reply chan<- *Controlled, out outcome) {
	r := &Controlled{}
	if execID == "" { // which to find means all
		r.Err = errors.New("no exec_id is given: name the execution")
		respond(d, reply, r)
		return
	}
	for _, e := range d.find(execID) {
		switch e.phase {
		case running:
			e.forced = &out
			d.interrupt(e.cur, out.err)
		case waiting:
			d.unhold(e)
			d.conclude(e, &attempt{exec: e, info: task.Info{Attempt: e.attempts()}}, out)
		case queued:
			d.unqueue(e)
			d.conclude(e, &attempt{exec: e, info: task.Info{Attempt: e.attempts()}}, out)
		case ending:
			continue
		}
		r.Found++
	}
	if r.Found == 0 {
		r.Err = fmt.Errorf("no execution %q is here: it may have ended, or wait on the queue", execID)
	}
	respond(d, reply, r)
	d.pump()
}

func (d *dispatcher) find(execID string) []*execution {
	var list []*execution
	for _, e := range d.execs {
		if e.msg.ExecID == execID || execID == "" {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *execution) int { return cmp.Compare(a.lease, b.lease) })
	return list
}

func (d *dispatcher) onInspect(m *Inspect) {
	list := d.find(m.ExecID)
	r := &Executions{Total: len(list)}
	limit := m.Limit
	if limit <= 0 {
		limit = 1000
	}
	for _, e := range list[:min(limit, len(list))] {
		s := e.snapshot()
		s.Pool = d.pool
		r.List = append(r.List, s)
	}
	respond(d, m.reply, r)
}

// unqueue takes e out of whichever queue it waits in.
func (d *dispatcher) unqueue(e *execution) {
	if d.ready.remove(e) {
		if d.giveClaim(e); d.permits.keeper == nil {
			d.unpark(e.entry, 1) // it may have been the one that was to start next
		}
		return
	}
	if i := slices.Index(d.suspects, e); i >= 0 {
		d.suspects = slices.Delete(d.suspects, i, i+1)
		e.disarm()
		d.giveClaim(e)
		return
	}
	if i := slices.Index(e.entry.parked, e); i >= 0 {
		e.entry.parked = slices.Delete(e.entry.parked, i, i+1)
		d.parked--
	}
}

// countEvery bounds what scaling and postponing cost: one request in so long.
const countEvery = 10 * time.Second

// count asks for the queue's numbers, if that is not too soon.
func (d *dispatcher) count() {
	if d.counting || time.Since(d.counted) < countEvery {
		return
	}
	d.counting, d.counted, d.hidesCounted = true, time.Now(), d.hides
	d.ctx.Send(d.poller, &poller.Count{})
}

// crowded reports whether too much of what SQS allows in flight is used up: by
// the last count, and by what was hidden here since.
func (d *dispatcher) crowded() bool { return float64(d.inFlight+d.hides) > d.PostponedShare*inFlight }

func (d *dispatcher) onCounted(m *poller.Counted) {
	d.counting = false
	if m.Err != nil {
		d.log.Warn("the queue's length could not be read: the workers stay", "error", m.Err, "workers", d.slots.workers)
		return
	}
	d.inFlight, d.hides = m.InFlight, d.hides-d.hidesCounted
	if d.MaxWorkers > d.Workers {
		n := scale(d.slots.workers, d.Workers, d.MaxWorkers, d.ScaleFactor, m.Visible)
		if n != d.slots.workers {
			d.log.Info("workers scaled", "from", d.slots.workers, "to", n, "waiting_messages", m.Visible)
		}
		d.slots.workers = n
		d.monitor.workers.Store(int64(n))
	}
	d.pump()
}

// ticked is the dispatcher's slow clock; it stops while there is nothing to do.
type ticked struct{}

// The timers of a dispatcher that has stopped may still go off: nothing waits
// for their messages then.

func (*ticked) IgnoreDeadLetterLogging()       {}
func (*wake) IgnoreDeadLetterLogging()         {}
func (*drainOver) IgnoreDeadLetterLogging()    {}
func (*deadlineOver) IgnoreDeadLetterLogging() {}
func (*overdue) IgnoreDeadLetterLogging()      {}

func (d *dispatcher) keepTicking() {
	if d.ticking || len(d.execs) == 0 && d.slots.workers <= d.Workers || d.drain != nil {
		return
	}
	d.ticking = true
	root, self := d.system.Root, d.self
	time.AfterFunc(countEvery, func() { root.Send(self, &ticked{}) })
}

func (d *dispatcher) onTick() {
	d.ticking = false
	now := time.Now()
	for _, e := range d.execs {
		if e.phase == running && now.Sub(e.received) > task.MaxAttempt && !e.cur.graced {
			d.interrupt(e.cur, ErrLeaseEnd)
		}
	}
	d.watchStalls(now)
	if d.slots.workers > d.Workers {
		d.count()
	}
	d.pump()
}
