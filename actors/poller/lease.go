package poller

import (
	"container/heap"
	"time"
)

// lease is what the poller knows of one delivery. Time is counted against
// ourselves: from the start of the request that got or extended it, never from
// its answer, so that the queue always holds the message for longer than we
// believe.
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

	extending bool        // an extension is under way
	fading    bool        // not to be extended any more
	noticed   bool        // told to be expiring
	alone     bool        // goes in requests of its own
	lost      bool        // told to be lost; kept for a late settle
	settling  *settlement // nil: not settled yet
	waiting   *Delivered  // not handed over before it was extended: too little was left of it

	due   time.Time // next thing to do; the key in the ledger's heap
	index int       // in the ledger's heap
}

// limitSlack is kept from the 12 hours: SQS counts them by its own clock and
// refuses an extension beyond them.
const limitSlack = 10 * time.Second

// guard is how long before its end a lease is given up, so that its execution
// is cancelled before another one can begin: an eighth of it, at most 2 s.
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

// unsettled reports whether the lease's settle may still come.
func (l *lease) unsettled() bool { return l.settling == nil && !l.lost }

func (l *lease) lostAt() time.Time { return l.end.Add(-guard(l.length)) }

// extensible reports whether an extension would gain anything.
func (l *lease) extensible() bool {
	return !l.fading && !l.lost && l.limit().Sub(l.end) >= time.Second && (l.settling == nil || !l.settling.release)
}

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
// what is left, 50 ms to 5 s, so that tries come faster as the end comes near.
func (l *lease) retry(now time.Time) {
	l.extendAt = now.Add(max(50*time.Millisecond, min(5*time.Second, l.lostAt().Sub(now)/4)))
}

// extension returns how long to ask for at now: whole seconds, not beyond the limit.
func (l *lease) extension(now time.Time) time.Duration {
	return min(l.length, l.limit().Sub(now)).Truncate(time.Second)
}

// next is when something is to be done about the lease.
func (l *lease) next(notice time.Duration) time.Time {
	if l.lost {
		return l.received.Add(MaxLease) // forget it: its handle is worth nothing any more
	}
	at := l.lostAt()
	if !l.extending && l.extensible() && l.extendAt.Before(at) {
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

// ledger holds every lease and says what is due. It is pure: it makes no
// request, sends no message and has no clock.
type ledger struct {
	notice    time.Duration
	retention time.Duration // of the queue; 0: not known
	leases    map[LeaseID]*lease
	due       leaseHeap
	last      LeaseID
	first     LeaseID // no lease before it is open
	unsettled int     // leases whose settle may still come
	lost      int     // leases that are lost and only kept for a late settle
}

func newLedger(notice time.Duration) *ledger {
	return &ledger{notice: notice, leases: map[LeaseID]*lease{}}
}

// open enters a lease got by a receive that began at start, of a message that
// was sent at sent; zero: not known.
func (b *ledger) open(handle string, start, sent time.Time, length time.Duration) *lease {
	b.last++
	l := &lease{id: b.last, handle: handle, received: start, sent: sent, length: length}
	l.kept = b.keptUntil(sent)
	l.hold(start, length)
	b.leases[l.id] = l
	b.enter(l)
	b.unsettled++
	return l
}

func (b *ledger) enter(l *lease) {
	l.due = l.next(b.notice)
	heap.Push(&b.due, l)
}

// retentionMargin is how long before the end of the queue's retention a message
// is carried on by a fresh copy: time for the request, and for clocks that
// differ. A short retention has a shorter one, an eighth of it.
const retentionMargin = 15 * time.Minute

func (b *ledger) keptUntil(sent time.Time) time.Time {
	if sent.IsZero() || b.retention <= 0 {
		return time.Time{}
	}
	return sent.Add(b.retention - min(retentionMargin, b.retention/8))
}

// keep notes the queue's retention, which counts for all leases that are held.
func (b *ledger) keep(retention time.Duration) {
	b.retention = retention
	for _, l := range b.leases {
		l.kept = b.keptUntil(l.sent)
		b.update(l)
	}
}

// update puts a lease that was changed back in its place.
func (b *ledger) update(l *lease) {
	if due := l.next(b.notice); !due.Equal(l.due) {
		l.due = due
		heap.Fix(&b.due, l.index)
	}
}

// settle notes that the lease's settle has come.
func (b *ledger) settle(l *lease, s *settlement) {
	if l.unsettled() {
		b.unsettled--
	}
	l.settling = s
	b.update(l)
}

// unsettle takes back the settle of a lease that is not lost. The subscriber
// gets another chance, for as long as the lease lasts without extension.
func (b *ledger) unsettle(l *lease) {
	b.unsettled++
	l.settling, l.fading = nil, true
	b.update(l)
}

func (b *ledger) lose(l *lease) {
	if l.unsettled() {
		b.unsettled--
	}
	if !l.lost {
		b.lost++
	}
	l.lost = true
	b.update(l)
}

// close removes a lease that is over.
func (b *ledger) close(l *lease) {
	if b.leases[l.id] != l {
		return
	}
	if l.unsettled() {
		b.unsettled--
	}
	if l.lost {
		b.lost--
	}
	delete(b.leases, l.id)
	heap.Remove(&b.due, l.index)
}

// oldest returns the lease that has been held for longest, or nil.
func (b *ledger) oldest() *lease {
	for ; b.first <= b.last; b.first++ {
		if l := b.leases[b.first]; l != nil && !l.lost {
			return l
		}
	}
	return nil
}

// wake is when something is due next; false if nothing ever is.
func (b *ledger) wake() (time.Time, bool) {
	if len(b.due) == 0 {
		return time.Time{}, false
	}
	return b.due[0].due, true
}

// dueWork is what [ledger.collect] found to be done.
type dueWork struct {
	extend   []*lease // marked as extending
	expiring []*lease // marked as noticed
	lost     []*lease // marked as lost
}

// collect returns what is due at now and marks it as being done. Extensions
// go out in tens: what room the last ten has is filled with leases whose time
// has not come, but of which an eighth is over. So leases fall into step, and
// each ten of them costs one request in 5/8 of their length.
func (b *ledger) collect(now time.Time) dueWork {
	var w dueWork
	for len(b.due) > 0 && !b.due[0].due.After(now) {
		l := b.due[0]
		switch {
		case l.lost:
			if l.settling != nil { // a late delete that never worked
				l.settling.over = true
			}
			b.close(l)
		case !now.Before(l.lostAt()):
			b.lose(l)
			w.lost = append(w.lost, l)
		case !l.noticed && !now.Before(l.noticeAt(b.notice)):
			l.noticed = true
			w.expiring = append(w.expiring, l)
			b.update(l)
		default:
			b.extend(&w)
		}
	}
	for len(w.extend)%maxBatchEntries != 0 && len(b.due) > 0 {
		l := b.due[0]
		early := l.extendAt.Add(-l.length / 2)
		if l.extending || !l.extensible() || early.After(now) {
			break
		}
		b.extend(&w)
	}
	for _, l := range w.extend {
		b.enter(l)
	}
	return w
}

// extend takes the first lease out of the heap until the work is collected: what
// is next of it would hide those that may come along.
func (b *ledger) extend(w *dueWork) {
	l := heap.Pop(&b.due).(*lease)
	l.extending = true
	w.extend = append(w.extend, l)
}

// leaseHeap orders leases by when they are due.
type leaseHeap []*lease

func (h leaseHeap) Len() int           { return len(h) }
func (h leaseHeap) Less(i, j int) bool { return h[i].due.Before(h[j].due) }
func (h leaseHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *leaseHeap) Push(x any) {
	l := x.(*lease)
	l.index = len(*h)
	*h = append(*h, l)
}

func (h *leaseHeap) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return l
}
