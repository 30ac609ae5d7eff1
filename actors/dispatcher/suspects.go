package dispatcher

import (
	"slices"
	"time"

	"github.com/sambatech/chassis/actors/shares"
)

// Crash suspects: which deliveries ended without a word, and who runs isolated
// for it. Pure decisions, no clock, no actor.

// suspectFrom is the number of silent ends from which a message is a crash
// suspect. The first proves nothing: one crash leaves one on all that was in
// flight with the message that caused it.
const suspectFrom = 2

// suspect reports whether the message is to run isolated: with no other suspect
// in the process. Healthy work goes on meanwhile; what it loses to a crash is
// one silent end, by which it is no suspect, or two, by which it is isolated too.
func (l ledger) suspect() bool { return l.silent >= suspectFrom }

// deliveries is what SQS says of the deliveries of one copy of a message.
type deliveries struct {
	receives int           // of the copy, this one included; postponements of ours left out
	age      time.Duration // since the first of them
	lease    time.Duration // that a process gets with a receive; 0: not known
	other    time.Duration // for which another consumer hides what it does not know
}

// manyReceives is the number of receives beyond which each is taken for a silent
// end, however fast they followed one another. A Python consumer drops a message
// there.
const manyReceives = 50

// silentEnds returns how many of the earlier deliveries can have ended in a crash
// or a lost answer. Each of those hid the message for a whole lease, and each
// postponement by another consumer for at least some seconds; so the time that
// has passed bounds their number. A release hides for no time and costs nothing.
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

// isolation sees to it that suspects run one at a time. Those that cannot run are
// given back, for what waits in the process would die with it.
type isolation struct {
	parted int           // suspects given back since the last one ended
	took   time.Duration // the last one's run
}

// pause returns after how long the next suspect that is given back may come again:
// at about its turn.
func (s *isolation) pause() time.Duration {
	s.parted++
	return min(time.Duration(min(s.parted, 1000))*max(s.took, leastTurn), maxDelay)
}

// leastTurn is what a suspect's run is reckoned to take before one has ended, and
// at least: each turn that comes too early costs a few requests.
const leastTurn = 5 * time.Second

// ended notes the end of a suspect's run.
func (s *isolation) ended(took time.Duration) { s.parted, s.took = 0, max(took, time.Millisecond) }

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

// silentEnds returns how many of e's earlier deliveries ended without a word.
func (d *dispatcher) silentEnds(e *execution, now time.Time) int {
	receives, age := d.timing(e).counted(now)
	return deliveries{receives: receives, age: age, lease: e.asked, other: d.UnknownTasksDelay}.silentEnds()
}
