package dispatcher

import (
	"slices"
	"time"
)

// ready is the queue of executions that wait for a slot: the highest priority
// first, then tenants by turns, then the oldest. A binary heap.
type ready struct {
	heap  []*execution
	next  uint64
	turns turns
}

func (r *ready) len() int { return len(r.heap) }

func (r *ready) less(i, j int) bool {
	a, b := r.heap[i], r.heap[j]
	if pa, pb := a.entry.spec.Priority, b.entry.spec.Priority; pa != pb {
		return pa > pb
	}
	if a.turn != b.turn {
		return a.turn < b.turn
	}
	return a.order < b.order
}

func (r *ready) push(e *execution, tenant string) {
	r.next++
	e.order, e.turn = r.next, r.turns.take(tenant)
	r.heap = append(r.heap, e)
	for i := len(r.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !r.less(i, parent) {
			return
		}
		r.heap[i], r.heap[parent] = r.heap[parent], r.heap[i]
		i = parent
	}
}

func (r *ready) pop() *execution {
	if len(r.heap) == 0 {
		return nil
	}
	top := r.heap[0]
	last := len(r.heap) - 1
	r.heap[0] = r.heap[last]
	r.heap[last] = nil
	r.heap = r.heap[:last]
	r.down(0)
	r.turns.served(top.turn)
	return top
}

func (r *ready) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(r.heap) {
			return
		}
		if right := child + 1; right < len(r.heap) && r.less(right, child) {
			child = right
		}
		if !r.less(child, i) {
			return
		}
		r.heap[i], r.heap[child] = r.heap[child], r.heap[i]
		i = child
	}
}

// remove takes e out, wherever it is.
func (r *ready) remove(e *execution) bool {
	for i, other := range r.heap {
		if other == e {
			r.heap = append(r.heap[:i], r.heap[i+1:]...)
			for j := len(r.heap)/2 - 1; j >= 0; j-- {
				r.down(j)
			}
			return true
		}
	}
	return false
}

// enqueue makes e wait for a slot.
func (d *dispatcher) enqueue(e *execution, now time.Time) {
	e.enter(queued, now)
	d.ready.push(e, d.tenant(e))
}

// unqueue takes e out of whichever queue it waits in.
func (d *dispatcher) unqueue(e *execution) {
	if d.ready.remove(e) {
		if d.giveClaim(e); d.permits.keeper == nil {
			d.unpark(e.entry, 1) // it may have been the one that was to start next
		}
		return
	}
	if d.isolation.remove(e) {
		e.disarm()
		d.giveClaim(e)
		return
	}
	if i := slices.Index(e.entry.parked, e); i >= 0 {
		e.entry.parked = slices.Delete(e.entry.parked, i, i+1)
		d.parked--
	}
}

// pump starts what may start, and sends the poller the demand that is left.
func (d *dispatcher) pump() {
	if d.inBatch {
		return
	}
	d.reserve()
	now := time.Time{}
	for d.drain == nil && !d.paused && d.slots.free() && d.permitted() {
		if now.IsZero() {
			now = time.Now()
		}
		e := d.nextSuspect(now)
		if e == nil {
			e = d.ready.pop()
		}
		if e == nil {
			break
		}
		switch {
		case d.limited(e):
			d.park(e, now)
		case e != d.isolation.running && d.untimely(e, now):
		case e.suspect && e != d.isolation.running:
			d.isolate(e)
		default:
			d.usePermit()
			d.start(e, now)
		}
	}
	d.updateShares()
	d.sendDemand()
}

// start begins the next attempt of e.
func (d *dispatcher) start(e *execution, now time.Time) {
	e.disarm()
	a := newAttempt(e, d.core, d.self, d.root, now)
	d.slots.running++
	d.turnover.began(&a.stint, now)
	if e.group != nil && e.group.pacing != nil {
		e.group.pacing.start(now)
	}
	e.entry.running++
	if e.entry.spec.Concurrency > 0 {
		e.entry.pace.add(now)
	}
	if e.entry.behind != nil {
		d.passes(e, a, now)
	}
	d.monitor.running.Add(1)
	e.entry.meter.running.Add(1)
	e.entry.meter.started.Add(1)
	e.cur = a
	e.until = time.Time{}
	e.enter(running, now)
	d.noteDelay(e, now)
	d.emit(Started, e, nil)
	d.sendToChild(e, a)
	if limit := e.entry.spec.Deadline; limit > 0 {
		d.watch(a, limit)
	}
}

// lateAfter is how long after its when a run counts as late.
const lateAfter = time.Minute

// lateness bounds the records of late runs that were never scheduled: a backlog
// makes every message late.
type lateness struct {
	logged   time.Time
	unlogged int
}

// noteDelay counts how long a message waited for its first attempt, and logs
// one that is late.
func (d *dispatcher) noteDelay(e *execution, now time.Time) {
	if e.attempts() > 0 {
		return
	}
	due := e.sent
	scheduled := e.ours(e.msg.When).After(e.sent.Add(tick))
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
	if !scheduled && now.Sub(d.late.logged) < 10*time.Second {
		d.late.unlogged++
		return
	}
	d.log.WarnContext(e.logContext(), "task runs late", "when", e.msg.When, "late_by", wait,
		"late_ones_not_logged", d.late.unlogged)
	d.late = lateness{logged: now}
}
