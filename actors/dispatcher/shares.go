package dispatcher

import (
	"math"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/shares"
)

// permits is this pool's part of what the process may run at once. With keeper
// nil the pool is alone in its process, and only its workers bound it.
type permits struct {
	keeper *actor.PID
	share  shares.Share
	epoch  uint64

	have      int  // granted and not used
	asked     int  // more than were granted
	back      int  // to be returned with the next Ask
	free      int  // more of them that there are for any pool
	ahead     int  // messages that should be at hand beyond those that run, up to the workers
	reserving bool // asked to run a suspect with no other in the process
	reserved  bool // and may
}

// joinShares joins the keeper of the process's shares, if there is one, without
// anything from before.
func (d *dispatcher) joinShares() {
	p := &d.permits
	*p = permits{keeper: p.keeper, share: p.share, epoch: p.epoch + 1}
	if p.keeper == nil {
		p.free = math.MaxInt
		return
	}
	for _, t := range d.registry {
		t.claims = 0
	}
	d.ctx.Send(p.keeper, &shares.Join{Pool: d.pool, Epoch: p.epoch, Share: p.share, To: d.self})
}

func (d *dispatcher) leaveShares() {
	if p := &d.permits; p.keeper != nil {
		d.root.Send(p.keeper, &shares.Leave{Pool: d.pool, Epoch: p.epoch})
	}
}

// permitted takes a permit for a start, if there is one.
func (d *dispatcher) permitted() bool { return d.permits.keeper == nil || d.permits.have > 0 }

func (d *dispatcher) usePermit() {
	if d.permits.keeper != nil {
		d.permits.have--
	}
}

// startable is how many executions could start, if permits were no matter.
func (d *dispatcher) startable() int {
	if d.drain != nil || d.paused {
		return 0
	}
	ready := d.ready.len()
	if d.permits.reserved && d.isolation.next() != nil {
		ready++
	}
	return max(min(ready, d.slots.workers-d.slots.running), 0)
}

// updateShares returns what is not needed, and asks for what is.
func (d *dispatcher) updateShares() {
	p := &d.permits
	if p.keeper == nil {
		return
	}
	need := d.startable()
	if spare := p.have - need; spare > 0 {
		p.have -= spare
		p.back += spare
	}
	more := need - p.have - p.asked
	if more != 0 || p.back > 0 {
		d.ctx.Send(p.keeper, &shares.Ask{Pool: d.pool, Epoch: p.epoch, Returned: p.back, More: more})
		p.asked += more
		p.back = 0
	}
	if p.reserving && !d.isolation.busy() {
		p.reserving, p.reserved = false, false
		d.ctx.Send(p.keeper, &shares.Release{Pool: d.pool, Epoch: p.epoch})
	}
}

func (d *dispatcher) onGranted(m *shares.Granted) {
	if p := &d.permits; m.Epoch == p.epoch {
		p.have += m.Permits
		p.asked -= m.Permits
		p.free, p.ahead = m.Free, m.Ahead
		d.pump()
	}
}

func (d *dispatcher) onReserved(m *shares.Reserved) {
	if p := &d.permits; m.Epoch == p.epoch && p.reserving {
		p.reserved = true
		d.pump()
	}
}

// onClaimed: one more of a task of limited concurrency may run here.
func (d *dispatcher) onClaimed(m *shares.Claimed) {
	if m.Epoch != d.permits.epoch {
		return
	}
	t := d.registry[m.Task]
	t.claims--
	if len(t.parked) == 0 || t.paused {
		d.unclaim(m.Task)
		return
	}
	t.parked[0].claimed = true
	d.unpark(t, 1)
	d.pump()
}

func (d *dispatcher) unclaim(task string) {
	d.ctx.Send(d.permits.keeper, &shares.Unclaim{Pool: d.pool, Epoch: d.permits.epoch, Task: task})
}

// giveClaim gives back what e has of its task's concurrency.
func (d *dispatcher) giveClaim(e *execution) {
	if e.claimed {
		e.claimed = false
		d.unclaim(e.entry.spec.Name)
	}
}

// claim asks for a place in t's concurrency for each of its parked executions,
// where that is counted for the whole process.
func (d *dispatcher) claim(t *entry) {
	if d.permits.keeper == nil || t.paused || t.spec.Concurrency == 0 {
		return
	}
	if t.behind != nil && d.shut(t, false, time.Now()) {
		return
	}
	for ; t.claims < len(t.parked); t.claims++ {
		d.ctx.Send(d.permits.keeper, &shares.Claim{Pool: d.pool, Epoch: d.permits.epoch, Task: t.spec.Name,
			Limit: t.spec.Concurrency})
	}
}
