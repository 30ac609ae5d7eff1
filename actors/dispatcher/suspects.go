package dispatcher

import (
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/shares"
)

// Crash suspects: messages that may have killed the processes that ran them.
//
//	delivery       the receive count and the times of the queue bound the silent ends: deliveries.silentEnds
//	two in a row   the message is a suspect: ledger.suspect
//	its turn       it waits until no other suspect runs in the process, and until what has ended is
//	               deleted: isolation. Where there are several pools, the keeper of shares decides.
//	meanwhile      other suspects of a standard pool go back as copies: isolation.pause
//	its run ends   which explains the silent ends before it: execution.seen
//
// Healthy work goes on meanwhile. What it loses to a crash is one silent end, which
// makes it no suspect, or two, which isolate it too.
//
// The first part of this file is pure: no clock, no actor.

// suspectFrom is the number of silent ends from which a message is a suspect. The
// first proves nothing: one crash leaves one on all that was in flight with the
// message that caused it.
const suspectFrom = 2

// suspect reports whether the message is to run isolated.
func (l ledger) suspect() bool { return l.silent >= suspectFrom }

// deliveries is what SQS says of the deliveries of one copy of a message.
type deliveries struct {
	receives int           // of the copy, this one included, without our postponements
	age      time.Duration // since the first of them
	lease    time.Duration // that a process gets with a receive; 0: not known
	other    time.Duration // for which another consumer hides what it does not know
}

// manyReceives is the number of receives beyond which each counts as a silent
// end, however fast they followed one another. A Python consumer drops a message
// there.
const manyReceives = 50

// silentEnds returns how many of the earlier deliveries can have ended in a crash
// or a lost answer. Each of those hid the message for a whole lease, and each
// postponement by another consumer for at least some seconds. The time that has
// passed therefore bounds their number. A release hides for no time and costs nothing.
func (d deliveries) silentEnds() int {
	earlier := max(d.receives-1, 0)
	if earlier == 0 || d.lease == 0 {
		return earlier
	}
	other := min(d.other, d.lease/4)
	// An eighth of a lease is for clocks and the ways of requests.
	most := (d.age + d.lease/8 - time.Duration(min(earlier, 1_000_000))*other) / (d.lease - other)
	return min(max(int(most), earlier-manyReceives, 0), earlier)
}

// costly reports whether each further delivery may be taken for a silent end, however
// short it is: the copy was delivered before, or long enough ago.
func (d deliveries) costly() bool { return d.receives > 1 || d.lease > 0 && d.age >= d.lease-d.lease/8 }

// seen notes that a run of e has ended, with any result, and reports whether that
// explains silent ends before it. A copy must then record it, because a crash would
// bring them back. On a FIFO pool they stay: they stand for failures.
func (e *execution) seen() bool {
	e.suspect = false
	if e.ledger.ordered || e.ledger.silent == 0 {
		return false
	}
	e.before += e.ledger.silent
	e.ledger.silent = 0
	return true
}

// isolation lets the suspects of a pool run one at a time. It is pure: the times
// are given.
type isolation struct {
	waiting   []*execution // for their turn: one on a standard pool, any number on a FIFO pool
	running   *execution
	givenBack int           // suspects given back since the last one ended
	took      time.Duration // the last one's run
}

// busy reports whether a suspect runs or waits for its turn.
func (s *isolation) busy() bool { return s.running != nil || len(s.waiting) > 0 }

// add makes e wait for its turn. mark is the number of settles, answered and under
// way, when it came up.
func (s *isolation) add(e *execution, mark uint64) {
	e.mark = mark
	s.waiting = append(s.waiting, e)
}

// remove takes e out of those that wait, and reports whether it was there.
func (s *isolation) remove(e *execution) bool {
	i := slices.Index(s.waiting, e)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	return i >= 0
}

// next returns the suspect in turn, or nil while one runs or none waits.
func (s *isolation) next() *execution {
	if s.running != nil || len(s.waiting) == 0 {
		return nil
	}
	return s.waiting[0]
}

// gatherCompany is how long a suspect waits for what came with it by one receive: a
// killer that starts at once would end the process before the others are given back.
const gatherCompany = 100 * time.Millisecond

// clear reports whether all that had ended when e came up is deleted, and whether the
// suspects that came with it are given back: settled counts the answered settles. What
// has ended and is not deleted would run again after a crash. After limit e waits no
// longer.
func (s *isolation) clear(e *execution, settled uint64, now time.Time, limit time.Duration) bool {
	age := now.Sub(e.since)
	if age < gatherCompany && age < limit && !e.ledger.ordered {
		return false
	}
	return settled >= e.mark || age >= limit
}

// await makes the suspect that waits wait for one more settle: mark is their number.
func (s *isolation) await(mark uint64) {
	for _, e := range s.waiting {
		e.mark = max(e.mark, mark)
	}
}

// begin makes the suspect in turn the one that runs.
func (s *isolation) begin() { s.running, s.waiting = s.waiting[0], s.waiting[1:] }

// ended notes the end of a run, if it was the suspect's.
func (s *isolation) ended(e *execution, took time.Duration) {
	if s.running == e {
		s.running, s.givenBack, s.took = nil, 0, max(took, time.Millisecond)
	}
}

// leastTurn is the time that one suspect takes until a run has been measured, and at
// least. A turn that comes too early costs a few requests.
const leastTurn = 5 * time.Second

// pause returns when the next suspect that is given back may come again: at about
// its turn.
func (s *isolation) pause() time.Duration {
	s.givenBack++
	return min(time.Duration(min(s.givenBack, 1000))*max(s.took, leastTurn), maxDelay)
}

// The actor's part.

// silentEnds returns how many of e's earlier deliveries were silent ends.
func (d *dispatcher) silentEnds(e *execution, now time.Time) int {
	return d.deliveries(e, now).silentEnds()
}

func (d *dispatcher) deliveries(e *execution, now time.Time) deliveries {
	receives, age := d.timing(e).counted(now)
	return deliveries{receives: receives, age: age, lease: e.asked, other: d.UnknownTasksDelay}
}

// isolate makes a suspect wait until no other one runs. On a standard pool only one
// waits: a crash of the one that runs would cost each that waits a silent end.
func (d *dispatcher) isolate(e *execution) {
	if d.giveBackSuspect(e) {
		return
	}
	now := time.Now()
	e.enter(queued, now)
	d.isolation.add(e, d.settled+uint64(d.settling))
	d.arm(e, d.HoldLimit)
	d.after(gatherCompany, &wake{e: e, gen: e.gen})
	d.reserve()
}

// giveBackSuspect gives a suspect back by a copy that keeps its count, if another
// one runs or waits. On a FIFO pool, where there are no copies, it stays.
func (d *dispatcher) giveBackSuspect(e *execution) bool {
	if d.ordered || !d.isolation.busy() {
		return false
	}
	d.giveBackUnrun(e, d.isolation.pause())
	d.isolation.await(d.settled + uint64(d.settling))
	return true
}

// giveBackOthers gives back all suspects that wait for a slot.
func (d *dispatcher) giveBackOthers() {
	for _, e := range slices.Clone(d.ready.heap) {
		if e.suspect && !d.ordered {
			d.unqueue(e)
			d.giveBackSuspect(e)
		}
	}
}

// reserve asks for the turn of this pool's suspect, where there are other pools.
func (d *dispatcher) reserve() {
	p := &d.permits
	if p.keeper == nil || p.reserving || d.isolation.next() == nil {
		return
	}
	p.reserving = true
	d.ctx.Send(p.keeper, &shares.Reserve{Pool: d.pool, Epoch: p.epoch})
}

// nextSuspect returns the suspect that may start now, or nil. It also returns one with a
// task that was paused meanwhile, to be parked.
func (d *dispatcher) nextSuspect(now time.Time) *execution {
	e := d.isolation.next()
	if e == nil {
		return nil
	}
	if d.limited(e) {
		d.isolation.remove(e)
		return e
	}
	d.giveBackOthers()
	if !d.isolation.clear(e, d.settled, now, d.HoldLimit) || d.permits.keeper != nil && !d.permits.reserved {
		return nil
	}
	d.isolation.begin()
	return e
}
