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
	planRun   planKind = iota // after wait, which is below a second
	planRenew                 // a fresh copy, marked due, at once
	planDelay                 // a fresh copy, delayed by wait
	planHide                  // hidden for wait
)

type plan struct {
	kind planKind
	wait time.Duration
}

// timing is what is known of a message's time.
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

func schedule(t timing, now time.Time) plan {
	wait := t.due.Sub(now)
	switch {
	case t.receives == 1 && t.early() && wait <= 0 && !t.ordered:
		return plan{kind: planRenew}
	case t.due.IsZero() || t.marked || wait < tick && (t.receives > 1 || !t.early()):
		if t.postponed() && !t.ordered {
			return plan{kind: planRenew}
		}
		return plan{kind: planRun, wait: max(wait, 0)}
	case t.ordered:
		return plan{planHide, min(max(wait, 0), hideLeft(t.received, now))}
	case wait <= maxDelay:
		return plan{planDelay, ceilSecond(wait)}
	}
	h := min(wait, hideLeft(t.received, now))
	if t.crowded || h <= 0 || now.Sub(t.sent)+h > t.retention/2 { // the service may be down for the other half
		return plan{planDelay, maxDelay}
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
