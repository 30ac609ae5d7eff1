package dispatcher

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// The rate of a tenant (limits.tenant.rate). Each of its N message groups has slots of time,
// one after the other, of N/rate: in each slot one attempt may begin. Those of the groups
// lie between one another, so that the sum is even. All processes see the same slots, by
// the clock.
//
//	a message comes    it begins in the slot under way, if no other process can have used it, or the next
//	an attempt begins  the slot is used
//	it ends            the last message here of its group stays in flight until the slot is nearly over: SQS
//	                   gives the next one of the group to no process before
//
// So the next holder of a group comes in the last part of a used slot, and begins with the
// next one. Clocks may differ by half a slot; with more than that a slot may be used twice
// when the holder changes, with at least three quarters of a slot between the two starts.
// Otherwise two starts of a group are at least 19 of 20 parts of a slot apart.
//
// All of this is pure but for the last functions.

// pacing is the slots of one message group that is here, and which of them is used.
type pacing struct {
	slot    time.Duration
	phase   time.Duration // of the begins of slots, from the epoch
	since   time.Time     // the group is here, so that no other process can begin anything of it
	wall    int64         // the queue's clock then, in ns since the epoch
	notYet  time.Time     // another process, which has died, may have used the slots before
	started time.Time     // the last start here; zero: none
	last    int64         // its slot
	spent   bool          // the group was kept for that
}

// slotLead is how much earlier than its slot ends the last message of a group is settled, so
// that the next one is here when the next slot begins. At most a quarter of a slot.
const slotLead = 100 * time.Millisecond

// newPacing returns the slots of a message group of n of a tenant, which has come at now.
// ahead is how far the queue's clock is.
func newPacing(rate Rate, n int, groupID string, now time.Time, ahead time.Duration) *pacing {
	slot := rate.slot(n)
	if slot <= 0 {
		return nil
	}
	tenant, number := groupID, 0
	if i := strings.LastIndexByte(groupID, '#'); i >= 0 {
		tenant = groupID[:i]
		number, _ = strconv.Atoi(groupID[i+1:]) // it is one of the n groups: checked
	}
	h := fnv.New64a() // tenants do not all start at one instant
	_, _ = h.Write([]byte(tenant))
	phase := time.Duration(h.Sum64() % uint64(slot))
	return &pacing{slot: slot, phase: phase + slot*time.Duration(number)/time.Duration(n), since: now,
		wall: now.Add(ahead).UnixNano()}
}

// at is the number of the slot of a time. A clock that jumps changes nothing while the
// group is here.
func (p *pacing) at(t time.Time) int64 {
	ns := p.wall + int64(t.Sub(p.since)) - int64(p.phase)
	k := ns / int64(p.slot)
	if ns < 0 && ns%int64(p.slot) != 0 {
		k--
	}
	return k
}

// begin is when a slot begins.
func (p *pacing) begin(k int64) time.Time {
	return p.since.Add(time.Duration(k*int64(p.slot) + int64(p.phase) - p.wall))
}

// wait returns how long it is until an attempt may begin.
func (p *pacing) wait(now time.Time) time.Duration {
	if now.Before(p.notYet) {
		return p.notYet.Sub(now)
	}
	k := p.at(now)
	switch {
	case !p.started.IsZero():
		return max(p.begin(p.last+1).Sub(now), p.started.Add(p.least()).Sub(now), 0)
	case !p.begin(k).Before(p.since): // it has begun here
		return 0
	case p.since.Sub(p.begin(k)) <= p.slot-p.least(): // another's start in it would have kept the group for longer
		return 0
	}
	return p.begin(k + 1).Sub(now)
}

// start notes that an attempt begins.
func (p *pacing) start(now time.Time) { p.started, p.last, p.spent = now, p.at(now), false }

// rest returns how long the group is to be kept from others.
func (p *pacing) rest(now time.Time) time.Duration {
	if p.spent || p.started.IsZero() {
		return 0
	}
	end := p.begin(p.last + 1).Add(-min(slotLead, p.slot/4))
	if p.started.Sub(p.begin(p.last)) > p.slot-p.least() { // it was late
		end = p.started.Add(p.least())
	}
	return max(end.Sub(now), 0)
}

// least is the least time between two starts. What begins late in its slot catches up by
// what a slot is longer.
func (p *pacing) least() time.Duration { return p.slot / 20 * 19 }

// pace gives a group its slots, if it is one of a tenant with a rate.
func (d *dispatcher) pace(g *group, e *execution) {
	l := d.Limits.Tenant
	if l.Rate.Count == 0 || e.msg.Tenant == "" {
		return
	}
	g.pacing = newPacing(l.Rate, l.Running, g.id, e.received, e.ahead)
	if e.receives > 1 && g.pacing.slot > e.asked { // else the lease was longer than the slot
		g.pacing.notYet = e.received.Add(g.pacing.slot)
	}
}

// untimely lets e wait in place for its slot, and reports whether it has to.
func (d *dispatcher) untimely(e *execution, now time.Time) bool {
	if e.group == nil || e.group.pacing == nil {
		return false
	}
	wait := e.group.pacing.wait(now)
	if wait <= 0 {
		return false
	}
	d.giveClaim(e)
	d.hold(e, wait, now)
	return true
}

// keep puts off the settlement of the last message here of its group until the slot of its
// start is over, and reports whether that is so. What is given back is hidden for as long.
// The lease is kept meanwhile; a drain waits until its deadline.
func (d *dispatcher) keep(e *execution, s *poller.Settle) bool {
	if e.group == nil || e.group.pacing == nil || d.drain != nil && d.drain.over {
		return false
	}
	rest := e.group.pacing.rest(time.Now())
	switch {
	case rest <= 0:
		return false
	case s.Release:
		s.Visible = max(s.Visible, rest)
		return false
	case len(e.group.queue) > 1:
		return false // those behind it keep the group
	}
	e.enter(ending, time.Now())
	if d.kept == nil {
		d.kept = map[*execution]*poller.Settle{}
	}
	d.kept[e] = s
	d.arm(e, rest)
	return true
}

// settleKept settles what was put off.
func (d *dispatcher) settleKept(e *execution) {
	if s := d.kept[e]; s != nil {
		e.group.pacing.spent = true // another message of the group may be here before this one's Settled
		delete(d.kept, e)
		d.settle(e, s)
	}
}
