package dispatcher

import (
	"time"

	"github.com/sambatech/chassis/task"
)

// The failure budget: pure decisions, no clock, no actor.

// ledger is what a message has spent of its budget. Failures are what was
// written down, on the message or here. A silent end is a delivery that ended
// without an answer: a crash, a lost lease, or an answer of the queue that never
// arrived. Silent ends are counted apart, in a row: a run that is seen to end
// forgives those before it.
type ledger struct {
	failures int  // carried by the message, and those of this delivery
	presumed int  // of them, silent ends of a FIFO pool that may have been none
	silent   int  // silent ends since the task was last seen to run
	max      int  // failures at which the task is given up
	ordered  bool // FIFO: failures cannot be written down, and a silent end may have been one
}

// silentGrace is the number of silent ends in a row that never cost a task
// anything, whatever its max failures are.
const silentGrace = 3

// presume returns the ledger of a message that is about to run. On a FIFO pool each
// silent end counts as a failure, but for the last: there is one more run.
func (l ledger) presume() ledger {
	if l.ordered {
		l.presumed = min(l.silent, max(l.max-1-l.failures, 0))
		l.failures += l.presumed
	}
	return l
}

// confirm returns the ledger for a failure that takes the place of a presumed one.
func (l ledger) confirm() ledger {
	if l.presumed > 0 {
		l.presumed--
		l.failures--
	}
	return l
}

func (l ledger) exhausted() bool { return l.failures >= l.max }

// silentlySpent reports whether silent ends alone have used up what the failures left
// of the budget. On a FIFO pool they may all have been drains, so there they must
// exceed the whole of it.
func (l ledger) silentlySpent() bool {
	if l.ordered {
		return l.silent >= l.max+silentGrace
	}
	return l.silent > silentGrace && l.failures+l.silent >= l.max
}

// spentAt is the number of silent ends that use up the budget of a standard pool.
func (l ledger) spentAt() int { return max(silentGrace+1, l.max-l.failures) }

// lastRun returns the ledger that is to be written onto a copy before the last run of a
// task that was never seen to run, and whether it is to be. written are the silent ends
// that the message carries. Those that only its receives stand for may have been
// postponements by a process that was not allowed to send a copy, or with a wrong clock:
// they do not end a task. Once they are written down, one more silent end does. On a
// FIFO pool nothing can be written down.
func (l ledger) lastRun(written int, ran bool) (ledger, bool) {
	last := l.spentAt() - 1
	if l.ordered || ran || l.exhausted() || l.silent < last || written >= last {
		return l, false
	}
	l.silent = last
	return l, true
}

type verdictKind uint8

const (
	finish  verdictKind = iota // delete it
	hold                       // wait in place, lease kept
	hide                       // FIFO: give back by the visibility time-out
	reissue                    // give back by a fresh copy that carries the ledger
	giveUp                     // on_fail or dead letter
)

// verdict is what becomes of a message after an attempt.
type verdict struct {
	kind   verdictKind
	wait   time.Duration
	reason string // giveUp
}

// nextLease is what must be left of the lease after a wait in place: the next
// attempt may be a long one, and SQS holds no message for more than 12 hours.
const nextLease = 6 * time.Hour

// room is what allows a wait to be spent in place, or on the queue.
type room struct {
	holdLimit time.Duration
	canHold   bool          // false at a drain or if too many wait already
	ordered   bool          // a FIFO queue: no copies, for they would change the order
	full      bool          // no copy of it fits: as long as this process lives, only it counts the failures
	leaseLeft time.Duration // until SQS's 12 hours since the receive are over
	keptLeft  time.Duration // until the queue drops the message, less a margin
	retention time.Duration // of the queue
	spendOpen bool          // an open breaker's refusal is a failure
	random    func() float64
}

// openWait is the wait after a breaker's refusal that does not say for how
// long, as one that is forced open for good. Without it a task that spends no
// failure would run again and again without a pause.
const openWait = time.Second

// decide is the whole rule of what follows an attempt. It returns the ledger
// with a failure counted, if there was one.
func decide(l ledger, o outcome, b task.Backoff, r room) (ledger, verdict) {
	switch o.kind {
	case outDone:
		return l, verdict{kind: finish}
	case outCancelled:
		return l, verdict{kind: giveUp, reason: task.ReasonCancelled}
	case outUndecodable:
		return l, verdict{kind: giveUp, reason: task.ReasonUndecodable}
	case outUnopened:
		if o.final {
			return l, verdict{kind: giveUp, reason: task.ReasonSealed}
		}
		r.canHold = r.canHold && (!o.elsewhere || r.full)
		return l, r.giveBack(o.wait)
	case outSnoozed:
		return l, r.giveBack(o.wait)
	case outInterrupted:
		r.canHold = false
		return l, r.giveBack(o.wait)
	case outRefused:
		if o.wait == 0 {
			o.wait = openWait
		}
		if !r.spendOpen {
			return l, r.giveBack(o.wait)
		}
	}
	l.failures++
	if l.exhausted() {
		return l, verdict{kind: giveUp, reason: task.ReasonExhausted}
	}
	wait := o.wait
	if !o.own {
		wait = max(wait, b.DelayWith(l.failures, r.random))
	}
	return l, r.giveBack(wait)
}

// giveBack chooses how a wait is spent: in place where it is short or no copy fits,
// else by a fresh copy. A FIFO pool has no copies: in place at any length that leaves a
// lease for the next attempt, else hidden; and what would wait for longer than
// SQS hides it, or than the queue keeps it, is given up now, with its group going
// on behind it.
func (r room) giveBack(wait time.Duration) verdict {
	spare := min(nextLease, r.retention/2) // of the message's life, for the next attempt
	if r.ordered {
		spare = 0
	}
	switch {
	case r.canHold && wait < r.leaseLeft-nextLease && wait < r.keptLeft-spare &&
		(wait <= r.holdLimit || r.ordered || r.full):
		return verdict{kind: hold, wait: wait}
	case !r.ordered:
		return verdict{kind: reissue, wait: wait}
	case wait <= r.leaseLeft && (wait < r.keptLeft || wait == 0):
		return verdict{kind: hide, wait: wait}
	}
	return verdict{kind: giveUp, wait: wait, reason: task.ReasonTooLate}
}
