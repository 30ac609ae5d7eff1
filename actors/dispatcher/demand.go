package dispatcher

import (
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// Worker slots and the demand that they make: pure, no actor.

// slots counts the workers of a pool.
type slots struct {
	workers     int
	running     int // executions with an attempt under way
	soon        int // of them, those that may end soon
	outstanding int // credits given to the poller less deliveries; may be below zero
}

func (s *slots) free() bool { return s.running < s.workers }

// credits returns the change of demand to send now, 0 for none. queued messages
// wait for a slot already; free is how many permits there are for them, and ahead
// how many of them there should be at least; blocked means that none are wanted.
// While others are outstanding, small changes are gathered: one message to the
// poller for each finished task would be too many.
func (s *slots) credits(queued, free, ahead int, blocked bool) int {
	target := 0
	if !blocked {
		target = max(max(min(s.workers-s.running, free), min(ahead, s.workers))-queued, 0)
	}
	delta := target - s.outstanding
	step := min(max(s.soon/8, 1), 10)
	switch {
	case delta >= step, delta > 0 && s.outstanding <= 0:
	case delta <= -step, delta < 0 && blocked:
	default:
		return 0
	}
	s.outstanding += delta
	return delta
}

// turning is the number of slots that take part in the turnover: credits that
// are outstanding and those that may follow soon. At least 1, for the poller
// reads 0 as unknown.
func (s *slots) turning() int { return max(s.soon+s.outstanding, 1) }

// scale is the rule of the Python chassis: l messages wait on the queue.
func scale(workers, base, limit, factor, l int) int {
	if l > workers*factor+factor/2 {
		return min(workers+1, max(limit, base))
	}
	if l < workers*factor-factor/2 {
		return max(workers-1, base)
	}
	return workers
}

func (d *dispatcher) sendDemand() {
	tooMany := d.monitor.abandoned.Load() >= int64(d.MaxAbandoned)
	d.noteAbandoned(tooMany)
	blocked := tooMany || d.drain != nil || d.paused
	free, ahead := d.permits.free, d.permits.ahead
	now := time.Now()
	if len(d.full) > 0 {
		free = min(free, d.demandLimit(now))
		ahead = min(ahead, free)
	}
	if len(d.behindNames) > 0 || d.bounded {
		room := d.servicesRoom()
		free, ahead, blocked = min(free, room), min(ahead, room), blocked || room == 0
		d.showUseful(room)
	}
	d.slots.soon = d.turnover.soon(now)
	if n := d.slots.credits(d.ready.len(), free, ahead, blocked); n != 0 {
		d.ctx.Send(d.poller, &poller.Want{Credits: n, Slots: d.slots.turning()})
	}
	d.monitor.queued.Store(int64(d.ready.len() + len(d.isolation.waiting) + d.parked))
	if d.drain == nil && d.MaxWorkers > d.Workers && !d.slots.free() {
		d.count()
	}
	d.keepTicking()
}

// noteAbandoned turns the status to ERROR while too many handlers are abandoned,
// and back.
func (d *dispatcher) noteAbandoned(tooMany bool) {
	from, to := Running, Failing
	if !tooMany {
		from, to = Failing, Running
	}
	if d.monitor.status.CompareAndSwap(int32(from), int32(to)) && tooMany {
		d.log.Error("no more tasks are taken: too many handlers were abandoned and still run", "max_abandoned",
			d.MaxAbandoned)
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
		d.log.Warn("the queue's length could not be read: the workers stay", "error", m.Err, "workers",
			d.slots.workers)
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
type ticked struct{ unlogged }

func (d *dispatcher) keepTicking() {
	if d.ticking || len(d.execs) == 0 && d.slots.workers <= d.Workers || d.drain != nil {
		return
	}
	d.ticking = true
	d.after(countEvery, &ticked{})
}

func (d *dispatcher) onTick() {
	d.ticking = false
	now := time.Now()
	for _, e := range d.those(func(e *execution) bool {
		return e.phase == running && now.Sub(e.received) > task.MaxAttempt && !e.cur.inGrace
	}) {
		d.interrupt(e.cur, ErrLeaseEnd)
	}
	d.watchStalls(now)
	if d.slots.workers > d.Workers {
		d.count()
	}
	d.pump()
}
