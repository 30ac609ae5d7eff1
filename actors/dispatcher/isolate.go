package dispatcher

import (
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/shares"
)

// The suspect that runs, and those that wait for it.

// isolate makes a suspect that has come to its turn wait until no other one runs.
// On a standard pool only one waits, for what waits here would be spent a silent
// end if the one that runs kills the process.
func (d *dispatcher) isolate(e *execution) {
	if (d.alone != nil || len(d.suspects) > 0) && d.part(e) {
		return
	}
	e.enter(queued, time.Now())
	e.mark = d.settled + uint64(d.settling)
	d.suspects = append(d.suspects, e)
	d.arm(e, d.HoldLimit)
}

// part gives a crash suspect back by a copy that keeps its count, to come again
// at about its turn. On a FIFO pool, where there are no copies, it stays.
func (d *dispatcher) part(e *execution) bool {
	if d.ordered {
		return false
	}
	d.giveBackUnrun(e, d.isolation.pause())
	return true
}

// partOthers parts all suspects that wait for a slot.
func (d *dispatcher) partOthers() {
	for _, e := range slices.Clone(d.ready.heap) {
		if e.suspect && !d.ordered {
			d.unqueue(e)
			d.part(e)
		}
	}
}

// reserve asks for the turn of this pool's suspect, where there are other pools.
func (d *dispatcher) reserve() {
	p := &d.permits
	if p.keeper == nil || p.reserved || d.alone != nil || len(d.suspects) == 0 {
		return
	}
	p.reserved = true
	d.ctx.Send(p.keeper, &shares.Reserve{Pool: d.pool, Epoch: p.epoch})
}

// mayRunAlone reports whether a suspect may start: no other one runs in the
// process, and what had ended when it came up is deleted, or hold_limit is over.
// What is done and not deleted would run again after a crash.
func (d *dispatcher) mayRunAlone(e *execution, now time.Time) bool {
	if d.settled < e.mark && now.Sub(e.since) < d.HoldLimit {
		return false
	}
	return d.permits.keeper == nil || d.permits.solo
}

// nextSuspect returns the suspect that may run now, or nil.
func (d *dispatcher) nextSuspect(now time.Time) *execution {
	if d.alone != nil || len(d.suspects) == 0 {
		return nil
	}
	e := d.suspects[0]
	if !d.limited(e) { // paused meanwhile
		d.partOthers()
		if !d.mayRunAlone(e, now) {
			return nil
		}
		d.alone = e
	}
	d.suspects = d.suspects[1:]
	return e
}
