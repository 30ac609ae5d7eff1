package dispatcher

import (
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// drain is the stop under way. It survives a restart.
type drain struct {
	deadline   time.Time
	over       bool // the deadline has passed: ctxs are cancelled
	pollerDone bool // no receive is under way
	flushing   bool
	done       bool
	waiters    []func(*Drained)
	finished   int
	givenBack  int
	released   int
	unsettled  int // the poller gave up their settles
	gen        int
	timer      *time.Timer
}

// drainOver is the tick of the deadline.
type drainOver struct {
	unlogged
	gen int
}

func (d *dispatcher) onDrain(m *Drain) {
	deadline := m.Deadline
	if deadline.IsZero() {
		deadline = time.Now().Add(d.DrainTimeout)
	}
	first := d.drain == nil
	if first {
		d.drain = &drain{deadline: deadline}
	}
	dr := d.drain
	reply, sender := m.reply, d.ctx.Sender()
	dr.waiters = append(dr.waiters, func(r *Drained) {
		if reply != nil {
			reply <- r
		} else if sender != nil {
			d.post(sender, r)
		}
	})
	if dr.done {
		d.drainDone()
		return
	}
	if deadline.Before(dr.deadline) {
		dr.deadline = deadline
		d.ctx.Send(d.poller, &poller.Drain{HandOver: true, Until: d.settleBy()})
	}
	d.armDrain()
	if first {
		d.monitor.status.Store(int32(Stopping))
		d.log.Info("draining", "deadline", dr.deadline, "running", d.slots.running, "waiting", d.held, "queued",
			d.ready.len()+len(d.isolation.waiting)+d.parked)
		d.sendDemand()
		d.ctx.Send(d.poller, &poller.Drain{HandOver: true, Until: d.settleBy()})
		d.giveBackWaiting()
	}
	d.drainProgress()
}

// resumeDrain goes on with a drain after a restart: the leases are released
// by the new subscription.
func (d *dispatcher) resumeDrain() {
	d.drain.pollerDone, d.drain.flushing, d.drain.over = false, false, false
	d.monitor.status.Store(int32(Stopping))
	d.ctx.Send(d.poller, &poller.Drain{HandOver: true, Until: d.settleBy()})
	d.armDrain()
}

func (d *dispatcher) armDrain() {
	dr := d.drain
	if dr.timer != nil {
		dr.timer.Stop()
	}
	dr.gen++
	dr.timer = d.after(time.Until(dr.deadline), &drainOver{gen: dr.gen})
}

// settleBy returns when a drain gives up what the queue has not settled.
func (d *dispatcher) settleBy() time.Time {
	return d.drain.deadline.Add(d.AbandonAfter)
}

// giveBackWaiting returns all that has no attempt under way, with the rest of
// its wait.
func (d *dispatcher) giveBackWaiting() {
	now := time.Now()
	for _, e := range d.find("") {
		switch e.phase {
		case waiting:
			rest := max(e.until.Sub(now), 0)
			d.unhold(e)
			d.giveBackUnrun(e, rest)
		case queued:
			d.unqueue(e)
			d.giveBackUnrun(e, 0)
		}
	}
}

// onDrainOver: the deadline has passed. First the ctxs end; a handler that does
// not then is abandoned, and its message released.
func (d *dispatcher) onDrainOver(m *drainOver) {
	dr := d.drain
	if dr == nil || m.gen != dr.gen || dr.done || dr.over {
		return
	}
	dr.over = true
	for _, e := range d.find("") {
		d.settleKept(e)
	}
	d.hurryDepartures()
	for _, e := range d.find("") {
		if e.phase == running {
			d.interrupt(e.cur, ErrDrained)
		}
	}
	d.drainProgress()
}

func (d *dispatcher) onPollerDrained() {
	if d.drain != nil {
		d.drain.pollerDone = true
		d.drainProgress()
	}
}

// drainProgress flushes once nothing is left to be settled and no task actor
// stops any more.
func (d *dispatcher) drainProgress() {
	dr := d.drain
	if dr == nil || dr.flushing || dr.done || !dr.pollerDone || len(d.execs) > 0 || !d.duplicates.none() ||
		d.departures.waiting > 0 {
		return
	}
	dr.flushing = true
	d.ctx.Send(d.poller, &poller.Flush{})
}

func (d *dispatcher) onFlushed() {
	dr := d.drain
	if dr == nil || !dr.flushing {
		return
	}
	dr.flushing = false
	if len(d.execs) > 0 || !d.duplicates.none() {
		d.drainProgress()
		return
	}
	dr.done = true
	dr.timer.Stop()
	d.monitor.status.Store(int32(Stopped))
	d.log.Info("drained", "finished", dr.finished, "given_back", dr.givenBack, "released", dr.released, "unsettled",
		dr.unsettled)
	d.drainDone()
}

func (d *dispatcher) drainDone() {
	dr := d.drain
	for _, answer := range dr.waiters {
		answer(&Drained{Finished: dr.finished, GivenBack: dr.givenBack, Released: dr.released,
			Unsettled: dr.unsettled})
	}
	dr.waiters = nil
}
