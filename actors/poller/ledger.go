package poller

import (
	"container/heap"
	"iter"
	"maps"
	"slices"
	"time"
)

// ledger holds every lease, decides its next stage, and says what is due. It is
// pure: it makes no request, sends no message and has no clock.
type ledger struct {
	notice    time.Duration
	retention time.Duration // of the queue; 0: not known
	leases    map[LeaseID]*lease
	due       leaseHeap
	latest    LeaseID
	first     LeaseID          // no lease before it is open
	count     [leaseStages]int // leases in each stage
}

func newLedger(notice time.Duration) *ledger {
	return &ledger{notice: notice, leases: map[LeaseID]*lease{}}
}

// unsettled returns the number of leases that may still be settled.
func (b *ledger) unsettled() int { return b.count[delivered] + b.count[heldBack] }

// held returns the number of leases that have not ended.
func (b *ledger) held() int { return b.unsettled() + b.count[settling] }

// open enters a lease got by a receive that began at start, of a message that
// was sent at sent; zero: not known.
func (b *ledger) open(handle string, start, sent time.Time, length time.Duration) *lease {
	b.latest++
	l := &lease{id: b.latest, handle: handle, received: start, sent: sent, length: length}
	l.kept = b.keptUntil(sent)
	l.hold(start, length)
	b.leases[l.id] = l
	b.enter(l)
	b.count[l.stage]++
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
	for l := range b.inOrder() {
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

// move puts a lease into another stage.
func (b *ledger) move(l *lease, to leaseStage) {
	b.count[l.stage]--
	b.count[to]++
	l.stage = to
	if to != heldBack {
		l.waiting = nil
	}
	b.update(l)
}

// holdBack has a lease extended at once, before d is handed over.
func (b *ledger) holdBack(l *lease, d *Delivered, now time.Time) {
	l.waiting, l.extendAt = d, now
	b.move(l, heldBack)
}

// settle notes that the lease's settle has come.
func (b *ledger) settle(l *lease, s *settlement) {
	l.settling = s
	if l.stage == lost {
		b.move(l, late)
	} else {
		b.move(l, settling)
	}
}

// unsettle takes back the settle of a lease that is not over. The subscriber
// gets another chance, for as long as the lease lasts without extension.
func (b *ledger) unsettle(l *lease) {
	l.settling, l.renewal = nil, l.renewal.ended()
	b.move(l, delivered)
}

// lose ends a lease: its message may be elsewhere by now. The lease stays for a
// late settle, or for a delete on its way: that still ends a message which no
// other process has got.
func (b *ledger) lose(l *lease) {
	switch {
	case l.over():
	case l.stage == delivered:
		b.move(l, lost)
	case l.stage == settling && l.settling.outlivesLease():
		b.move(l, late)
	default:
		b.close(l)
	}
}

// close removes a lease that is over.
func (b *ledger) close(l *lease) {
	if l.stage == closed {
		return
	}
	b.count[l.stage]--
	l.stage = closed
	delete(b.leases, l.id)
	heap.Remove(&b.due, l.index)
}

// extended notes the answer to an extension by d that began at start, and
// reports whether the lease is lost by it.
func (b *ledger) extended(l *lease, now, start time.Time, d time.Duration, err error) (isLost bool) {
	l.renewal = l.renewal.answered()
	switch {
	case l.over():
	case err == nil:
		l.hold(start, d)
		l.cause, l.alone = nil, false
	case !isBadHandle(err):
		l.cause = err
		l.retry(now)
	case l.stage == settling && l.settling.deleting():
		// Its delete may have been carried out and the answer lost: the next try
		// of the delete shows that.
		l.cause, l.renewal = err, l.renewal.ended()
	default:
		l.cause = err
		b.lose(l)
		return true
	}
	b.update(l)
	return false
}

// inOrder yields the leases in the order of their receives. What follows from them
// must not depend on the order of a map. A lease may be closed meanwhile.
func (b *ledger) inOrder() iter.Seq[*lease] {
	return func(yield func(*lease) bool) {
		for _, id := range slices.Sorted(maps.Keys(b.leases)) {
			if l := b.leases[id]; l != nil && !yield(l) {
				return
			}
		}
	}
}

// oldest returns the lease that has been held for longest, or nil.
func (b *ledger) oldest() *lease {
	for ; b.first <= b.latest; b.first++ {
		if l := b.leases[b.first]; l != nil && !l.over() {
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
	extend   []*lease // their extension counts as under way
	expiring []*lease // marked as noticed
	lost     []*lease // see lose
}

// collect returns what is due at now and marks it as being done. Extensions
// go out in tens: the last ten is filled with leases that are not due yet, if an
// eighth of them is over. Leases thus fall into step, and each ten of them costs
// one request in 5/8 of their length.
func (b *ledger) collect(now time.Time) dueWork {
	var w dueWork
	for len(b.due) > 0 && !b.due[0].due.After(now) {
		l := b.due[0]
		switch {
		case l.over():
			if l.settling != nil { // a late delete that never worked
				l.settling.answered = true
			}
			b.close(l)
		case !now.Before(l.lostAt()):
			b.lose(l)
			w.lost = append(w.lost, l)
			if l.stage != closed { // a later call forgets it, though after a long sleep that time is over too
				heap.Remove(&b.due, l.index)
			}
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
		if !l.extensible() || early.After(now) {
			break
		}
		b.extend(&w)
	}
	for _, l := range w.extend {
		b.enter(l)
	}
	for _, l := range w.lost {
		if l.stage != closed {
			b.enter(l)
		}
	}
	return w
}

// extend takes the first lease out of the heap until the work is collected: what
// is next of it would hide those that may come along.
func (b *ledger) extend(w *dueWork) {
	l := heap.Pop(&b.due).(*lease)
	l.renewal = underWay
	w.extend = append(w.extend, l)
}

// leaseHeap orders leases by when they are due, then by their receives.
type leaseHeap []*lease

func (h leaseHeap) Len() int { return len(h) }
func (h leaseHeap) Less(i, j int) bool {
	if c := h[i].due.Compare(h[j].due); c != 0 {
		return c < 0
	}
	return h[i].id < h[j].id
}

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
	end := len(*h) - 1
	l := (*h)[end]
	(*h)[end] = nil
	*h = (*h)[:end]
	return l
}
