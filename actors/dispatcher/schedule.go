package dispatcher

import "time"

// When a message may run: pure decisions, no clock, no actor.

const (
	maxHide    = 12 * time.Hour   // SQS: a message is hidden at most so long after its receive
	hideMargin = 2 * time.Minute  // for the request to arrive, and for clocks that differ
	maxDelay   = 15 * time.Minute // SQS: DelaySeconds
	inFlight   = 120_000          // SQS: messages in flight of a standard queue
	tick       = time.Second      // SQS's resolution: a shorter wait is spent in place, however many wait there
)

type planKind uint8

const (
	planRun     planKind = iota // after wait, which is spent in place
	planRenew                   // a fresh copy, marked due, at once
	planDelay                   // a fresh copy, delayed by wait
	planHide                    // hidden for wait
	planTooLate                 // FIFO: the queue drops it before it is due
)

type plan struct {
	kind planKind
	wait time.Duration
}

// timing is what is known of a message's time. All times are those of the queue's
// clock, shown by the clock of this process: due less firstReceived, say, is the same
// in each process, whatever its clock.
type timing struct {
	due           time.Time // may run from then on; zero: at once
	written       time.Time // due if the sender's clock went as ours does; see wait
	marked        bool      // a copy made when it was due, so due is zero
	sent          time.Time
	firstReceived time.Time // zero: not known
	received      time.Time // begin of the lease
	receives      int
	lease         time.Duration // that a receive asks for; 0: not known
	holdLimit     time.Duration // longest wait in place
	canHold       bool          // one more message may wait in place
	ordered       bool          // FIFO: no copies
	crowded       bool          // too much of the queue's in-flight limit is used up
	retention     time.Duration
	full          bool // no copy of it fits into the queue
	maxReceives   int  // at which the queue's redrive policy takes the message away; 0: it has none
}

// wait is how long it is until the message is due: by the queue's clock, and at once
// if the clock of this process says so. The queue's may be behind, as that of an
// emulator in a virtual machine is after a sleep, and what was sent just now must not
// wait there. A clock of this process that is behind makes nothing wait.
func (t timing) wait(now time.Time) time.Duration {
	due := t.due
	if !t.written.IsZero() && t.written.Before(due) {
		due = t.written
	}
	return max(due.Sub(now), 0)
}

// lead is how long before it was due the copy was first received; not above
// zero if it was due by then.
func (t timing) lead() time.Duration {
	if t.due.IsZero() || t.firstReceived.IsZero() {
		return 0
	}
	return t.due.Sub(t.firstReceived)
}

// far reports whether the copy's first receive was too early for a wait in
// place, so that receives of it were postponements. A first delivery is
// postponed by this alone, and not by the time of the decision, which is a
// little later: then a later delivery knows it. The receives of a copy that is
// not far are no postponements of ours: it waits in place, or a fresh copy
// waits for it.
func (t timing) far() bool { return t.lead() >= tick && t.lead() > t.holdLimit }

// counted returns the receives of the copy that were no postponements of ours,
// and the time in which they can have ended in a run. A standard queue's far
// copy has only these, for it is renewed when it is due. On a FIFO queue each
// twelve hours until it was due took one, and of a message that is too full for a
// copy each longest delay may have, so that it has these or more. A wait in place ends in no run: what
// whole leases fit into it are not a part of that time, or a process that
// crashes again and again during the wait would use up the budget of a task
// that never ran.
func (t timing) counted(now time.Time) (receives int, age time.Duration) {
	switch {
	case !t.far():
		return t.receives, now.Sub(t.firstReceived) - max(t.lead(), 0).Truncate(t.lease)
	case !t.ordered && !t.full:
		return 1, 0
	}
	step := maxHide - hideMargin
	if t.full {
		step = longestDelay(t.retention)
	}
	steps := (t.lead() + step - 1) / step
	return max(t.receives-int(steps), 1), now.Sub(t.due)
}

// kept is the time up to which the queue keeps the message.
func (t timing) kept(now time.Time) time.Time { return keptUntil(t.sent, t.retention, now) }

// old reports whether a message is to be renewed before it runs, so that a crash
// and a time without any process cannot end it: in its last quarter, or from the
// second half on if it was delivered before. One that was renewed already runs at
// its first delivery: on a queue with so long a backlog it would be renewed for
// ever.
func (t timing) old(now time.Time) bool {
	if t.receives > 1 {
		return !t.sent.IsZero() && now.Sub(t.sent) > t.retention/2
	}
	return !t.marked && t.kept(now).Sub(now) < t.retention/4
}

// spare reports whether the queue's redrive policy leaves the copy two more
// receives: that after a hide, and one after a crash.
func (t timing) spare() bool { return t.maxReceives == 0 || t.receives+2 <= t.maxReceives }

// last reports whether the redrive policy would take the message at its next
// receive. A fresh copy begins at one; a message at its first receive gains nothing by it.
func (t timing) last() bool {
	return t.maxReceives > 0 && t.receives > 1 && t.receives >= t.maxReceives
}

// schedule decides when and where a message waits for its time. A wait of up to
// hold_limit is spent in place, as one between two attempts is; a longer one on
// the queue.
func schedule(t timing, now time.Time) plan {
	wait := t.wait(now)
	longest := longestDelay(t.retention)
	renewed := !t.ordered && (t.far() || t.old(now.Add(wait)) || t.last()) // a fresh copy is to run
	inPlace := wait < tick && (t.receives > 1 || !t.far()) ||
		wait <= t.holdLimit && t.canHold && !t.far()
	switch {
	case renewed && wait == 0:
		return plan{kind: planRenew}
	case inPlace && !renewed:
		return plan{kind: planRun, wait: wait}
	case t.ordered && t.due.After(t.kept(now)):
		return plan{kind: planTooLate}
	case t.ordered:
		return plan{planHide, min(wait, hideLeft(t.received, now))}
	case wait <= longest || !t.far():
		return plan{planDelay, min(ceilSecond(wait), longest)}
	}
	h := min(wait, hideLeft(t.received, now))
	// The service may be down for the other half of the retention.
	if t.crowded || !t.spare() || h < tick || now.Sub(t.sent)+h > t.retention/2 {
		return plan{planDelay, longest}
	}
	return plan{planHide, h}
}

// hideLeft is how long a message may still be hidden.
func hideLeft(received, now time.Time) time.Duration {
	return max(maxHide-hideMargin-now.Sub(received), 0)
}

func ceilSecond(d time.Duration) time.Duration {
	return (d + time.Second - 1) / time.Second * time.Second
}
