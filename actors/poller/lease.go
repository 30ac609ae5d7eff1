package poller

import (
	"fmt"
	"time"
)

// leaseStage says who has a delivery.
//
//	stage      event                                next
//	-          a receive brings the message         delivered
//	delivered  too little is left of it to start    heldBack
//	heldBack   its extension is carried out         delivered
//	           its lease is lost                    closed (the message comes again)
//	delivered  its settle comes                     settling
//	           its lease is lost                    lost
//	settling   its settle is answered, or given up  closed
//	           its messages cannot be sent          delivered, not to be extended
//	           its lease is lost                    late, if its delete may still work; else closed
//	lost       a late delete comes                  late
//	           another settle comes                 closed
//	late       its delete is answered               closed
//	lost, late MaxLease is over                     closed
type leaseStage uint8

const (
	delivered   leaseStage = iota // the subscriber has it, or is about to get it
	heldBack                      // it is extended before it is handed over
	settling                      // its settlement is under way
	lost                          // it ended without a settle; kept for a late one
	late                          // it has ended; its delete goes on by the old handle
	closed                        // it is in the ledger no more
	leaseStages int        = iota
)

func (s leaseStage) String() string {
	return [...]string{"delivered", "held back", "settling", "lost", "late", "closed"}[s]
}

// renewal says how a lease is extended.
//
//	stage     event                      next
//	planned   extendAt has come          underWay
//	          it is not to be extended   stopped
//	underWay  the queue has answered     planned
//	          it is not to be extended   final
//	final     the queue has answered     stopped
type renewal uint8

const (
	planned  renewal = iota // the next extension is due at extendAt
	underWay                // an extension is under way
	final                   // an extension is under way; no other follows
	stopped                 // not to be extended any more
)

func (r renewal) String() string { return [...]string{"planned", "under way", "final", "stopped"}[r] }

// requested reports whether an extension is under way.
func (r renewal) requested() bool { return r == underWay || r == final }

// answered returns the stage after the answer to an extension.
func (r renewal) answered() renewal {
	switch r {
	case underWay:
		return planned
	case final:
		return stopped
	}
	return r
}

// ended returns the stage of a lease that is not to be extended any more.
func (r renewal) ended() renewal {
	if r.requested() {
		return final
	}
	return stopped
}

// lease is what the poller knows of one delivery. Time is counted against
// ourselves: from the start of the request that got or extended it, never from
// its answer. The queue thus always holds the message for longer than we believe.
type lease struct {
	id       LeaseID
	handle   string
	received time.Time     // start of the receive that brought it: the 12 hours end not before this plus MaxLease
	sent     time.Time     // SentTimestamp, of the queue's clock; zero: not known
	kept     time.Time     // until then the queue keeps the message, less a margin; zero: not known
	length   time.Duration // asked for by each extension
	end      time.Time     // until then the message is ours
	extendAt time.Time     // next extension
	cause    error         // of the last extension, if it failed

	stage    leaseStage
	renewal  renewal
	noticed  bool        // its end was announced
	alone    bool        // goes in requests of its own: a batch with it was refused
	settling *settlement // in the stages settling and late, and of a lease that a loss has closed
	waiting  *Delivered  // in the stage heldBack

	due   time.Time // next thing to do; the key in the ledger's heap
	index int       // in the ledger's heap
}

// MaxLease is how long SQS keeps a message invisible after it was received, in
// all: 12 hours, however often that is extended (SQS developer guide,
// "Visibility timeout").
const MaxLease = 12 * time.Hour

// limitSlack is kept from the 12 hours: SQS counts them by its own clock and
// refuses an extension beyond them.
const limitSlack = 10 * time.Second

// guard is how long before its end a lease is given up: an eighth of it, at
// most 2 s. Its execution is cancelled in that time, before another can begin.
func guard(length time.Duration) time.Duration { return min(length/8, 2*time.Second) }

// limit is when the lease ends however often it is extended. A message that is
// older than its queue keeps it is gone, leased or not.
func (l *lease) limit() time.Time {
	limit := l.received.Add(MaxLease - limitSlack)
	if !l.kept.IsZero() && l.kept.Before(limit) {
		return l.kept
	}
	return limit
}

// over reports whether the lease has ended, and its message may be elsewhere.
func (l *lease) over() bool { return l.stage == lost || l.stage == late }

func (l *lease) lostAt() time.Time { return l.end.Add(-guard(l.length)) }

// extensible reports whether an extension may begin, and would gain anything.
func (l *lease) extensible() bool {
	return l.renewal == planned && !l.over() && l.limit().Sub(l.end) >= time.Second && !l.releasing()
}

// releasing reports whether the message is about to be made visible.
func (l *lease) releasing() bool { return l.settling != nil && l.settling.kind == release }

// startable reports whether what is left of the lease covers the start of an
// execution: a quarter of it.
func (l *lease) startable(now time.Time) bool { return l.end.Sub(now) >= l.length/4 }

// hold takes over the outcome of a request, begun at start, that made the
// message invisible for d.
func (l *lease) hold(start time.Time, d time.Duration) {
	l.end = start.Add(d)
	// From 1/8 of it on the lease may be extended together with others (see
	// collect); at the latest at 5/8, which leaves 3/8 for further tries.
	l.extendAt = l.end.Add(-d * 3 / 8)
}

// retry plans the next try of an extension that failed: after a quarter of
// what is left, 50 ms to 5 s. Tries come faster as the end comes near.
func (l *lease) retry(now time.Time) {
	l.extendAt = now.Add(max(50*time.Millisecond, min(5*time.Second, l.lostAt().Sub(now)/4)))
}

// extension returns how long to ask for at now: whole seconds, not beyond the limit.
func (l *lease) extension(now time.Time) time.Duration {
	return min(l.length, l.limit().Sub(now)).Truncate(time.Second)
}

// next is when something is to be done about the lease.
func (l *lease) next(notice time.Duration) time.Time {
	if l.over() {
		return l.received.Add(MaxLease) // forget it: its handle is worth nothing any more
	}
	at := l.lostAt()
	if l.extensible() && l.extendAt.Before(at) {
		at = l.extendAt
	}
	if n := l.noticeAt(notice); !l.noticed && n.Before(at) {
		at = n
	}
	return at
}

// noticeAt is when the end of the lease is announced: notice before it, or a
// quarter of the time that the message had left when it came.
func (l *lease) noticeAt(notice time.Duration) time.Time {
	limit := l.limit()
	return limit.Add(-min(notice, max(limit.Sub(l.received), 0)/4))
}

// loss returns why the lease is lost.
func (l *lease) loss() error {
	switch {
	case l.limit().Sub(l.end) < time.Second:
		return ErrLeaseLimit
	case l.cause != nil:
		return fmt.Errorf("%w: it could not be extended: %w", ErrLeaseLost, l.cause)
	case l.renewal == final, l.renewal == stopped:
		return fmt.Errorf("%w: it was not to be extended after its settle failed", ErrLeaseLost)
	}
	return fmt.Errorf("%w: no extension was answered in time", ErrLeaseLost)
}
