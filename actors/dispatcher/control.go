package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

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
		d.holds[m.By] = true
		d.showPauses()
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
		delete(d.holds, m.By)
		d.showPauses()
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

// showPauses puts the pauses of the pool in force and into the monitor.
func (c *core) showPauses() {
	c.paused = len(c.holds) > 0
	by := slices.DeleteFunc(slices.Sorted(maps.Keys(c.holds)), func(by string) bool { return by == "" })
	c.monitor.pausedBy.Store(&by)
	c.monitor.pausedByOperator.Store(c.holds[""])
	c.monitor.paused.Store(c.paused)
}

func unknownName(what, name string) *Controlled {
	return &Controlled{Err: fmt.Errorf("%s: no task %q is registered", what, name)}
}

func (d *dispatcher) onCancelExecution(m *CancelExecution) {
	out := m.outcome()
	if now := time.Now(); m.Until.After(now) && m.ExecID != "" {
		d.cancelled.Put(m.ExecID, out, m.Until, now)
	}
	d.overrule(m.ExecID, m.reply, out)
}

// outcome is that of an execution that is cancelled.
func (m *CancelExecution) outcome() outcome {
	err := ErrCancelled
	if m.Delete {
		err = task.ErrCancelled
	}
	if m.Reason != "" {
		err = fmt.Errorf("%w: %s", err, m.Reason)
	}
	return outcome{kind: outCancelled, err: err, gone: m.Delete}
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

// find returns the executions of an exec_id, or all if that is empty, in the order
// of their leases.
func (d *dispatcher) find(execID string) []*execution {
	return d.those(func(e *execution) bool { return e.msg.ExecID == execID || execID == "" })
}

// those returns the executions for which is reports true, in the order of their
// leases. What follows from them must not depend on the order of a map.
func (d *dispatcher) those(is func(e *execution) bool) []*execution {
	var list []*execution
	for _, e := range d.execs {
		if is(e) {
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
