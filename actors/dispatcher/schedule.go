package dispatcher

import "time"

// When a message may run: pure decisions, no clock, no actor.

const (
	maxHide    = 12 * time.Hour   // SQS: a message is hidden at most so long after its receive
	hideMargin = 2 * time.Minute  // for the request to arrive, and for clocks that differ
	maxDelay   = 15 * time.Minute // SQS: DelaySeconds
	inFlight   = 120_000          // SQS: messages in flight of a standard queue
	tick       = time.Second      // below SQS's resolution a wait is spent in place
)

type planKind uint8

const (
	planRun     planKind = iota // after wait, which is below a second
	planRenew                   // a fresh copy, marked due, at once
	planDelay                   // a fresh copy, delayed by wait
	planHide                    // hidden for wait
	planTooLate                 // FIFO: the queue drops it before it is due
)

type plan struct {
	kind planKind
	wait time.Duration
}

// timing is what is known of a message's time, by the clock of this process.
type timing struct {
	due           time.Time // may run from then on; zero: at once
	marked        bool      // a copy made when it was due
	sent          time.Time
	firstReceived time.Time
	received      time.Time // begin of the lease
	receives      int
	ordered       bool // FIFO: no copies
	crowded       bool // too much of the queue's in-flight limit is used up
	retention     time.Duration
	maxReceives   int // at which the queue's redrive policy takes the message away; 0: it has none
}

// postponed reports whether earlier receives of the copy were postponements:
// its first came before it was due. By then-and-only-then a wait of a second
// or more was ahead of it.
func (t timing) postponed() bool { return t.receives > 1 && t.early() }

// early reports whether the copy's first receive was a second or more before
// it was due. By this alone, and not by the time of the decision, which is a
// little later, a first delivery is postponed: then a later one knows it.
func (t timing) early() bool {
	return !t.marked && !t.due.IsZero() && !t.firstReceived.IsZero() && !t.firstReceived.Add(tick).After(t.due)
}

// counted returns the receives of the copy that were no postponements of ours,
// and the time since the first of them. A standard queue's copy has only these,
// for it is renewed when it is due; on a FIFO queue each twelve hours until
// it was due took one.
func (t timing) counted(now time.Time) (receives int, age time.Duration) {
	switch {
	case !t.early():
		return t.receives, now.Sub(t.firstReceived)
	case !t.ordered:
		return 1, 0
	}
	steps := (t.due.Sub(t.firstReceived) + maxHide - hideMargin - 1) / (maxHide - hideMargin)
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

func schedule(t timing, now time.Time) plan {
	wait := t.due.Sub(now)
	longest := longestDelay(t.retention)
	switch {
	case t.receives == 1 && t.early() && wait <= 0 && !t.ordered:
		return plan{kind: planRenew}
	case t.due.IsZero() || t.marked || wait < tick && (t.receives > 1 || !t.early()):
		if (t.postponed() || t.old(now) || t.last()) && !t.ordered {
			return plan{kind: planRenew}
		}
		return plan{kind: planRun, wait: max(wait, 0)}
	case t.ordered && t.due.After(t.kept(now)):
		return plan{kind: planTooLate}
	case t.ordered:
		return plan{planHide, min(max(wait, 0), hideLeft(t.received, now))}
	case wait <= longest:
		return plan{planDelay, ceilSecond(wait)}
	}
	h := min(wait, hideLeft(t.received, now))
	if t.crowded || !t.spare() || h <= 0 || now.Sub(t.sent)+h > t.retention/2 { // the service may be down for the other half
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
