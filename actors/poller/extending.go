package poller

import (
	"slices"
	"time"
)

// leasesDue does what time has made due about leases.
func (w *worker) leasesDue() {
	due := w.ledger.collect(w.now)
	for _, l := range due.lost {
		w.onLost(l)
	}
	for _, l := range due.expiring {
		if l.stage == delivered {
			w.answer(w.subscriber, &LeaseExpiring{Lease: l.id, At: l.limit().Add(-guard(l.length))})
		}
	}
	for len(due.extend) > 0 {
		n := min(len(due.extend), maxBatchEntries)
		if i := slices.IndexFunc(due.extend[:n], func(l *lease) bool { return l.alone }); i >= 0 {
			n = max(i, 1)
		}
		w.call(extension, due.extend[:n:n])
		due.extend = due.extend[n:]
	}
}

// onExtended takes the queue's answer about one lease's extension.
func (w *worker) onExtended(l *lease, c *call, i int, err error) {
	if err == nil && !l.over() {
		w.counts.extended.Add(1)
	}
	if w.ledger.extended(l, w.now, c.start, c.hide[i], err) {
		w.onLost(l)
		return
	}
	switch {
	case l.settling != nil && l.settling.stage == blocked:
		w.advance(l)
	case l.stage != heldBack || err != nil:
	case w.subscriber == nil || w.drain != nil && !w.drain.handOver:
		w.demand.credits++
		w.giveBack(l)
	default:
		d := l.waiting
		w.ledger.move(l, delivered)
		w.deliver(d)
	}
}

// onLost says that a lease is lost, which the ledger has noted.
func (w *worker) onLost(l *lease) {
	err := l.loss()
	switch {
	case l.stage == lost:
		w.counts.lost.Add(1)
		w.log.Warn("a lease is lost", "lease", uint64(l.id), "error", err)
		w.answer(w.subscriber, &LeaseLost{Lease: l.id, Err: err})
	case l.settling != nil:
		w.settled(l, l.settling, err)
	default: // it was held back, and comes again
		w.demand.credits++
	}
}

func (w *worker) onLengthen(m *Lengthen) {
	l := w.ledger.leases[m.Lease]
	length := time.Duration(wholeSeconds(min(max(m.For, time.Second), MaxLease))) * time.Second
	if l == nil || l.over() || l.length == length {
		return
	}
	l.length = length
	l.extendAt = w.now
	w.ledger.update(l)
}
