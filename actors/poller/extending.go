package poller

import (
	"fmt"
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
		if l.settling == nil && l.waiting == nil && !l.lost {
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

// onExtended takes what the queue said of one lease's extension.
func (w *worker) onExtended(l *lease, c *call, i int, err error) {
	l.extending = false
	switch {
	case l.lost:
	case err == nil:
		w.counts.extended.Add(1)
		l.hold(c.start, c.hide[i])
		l.cause, l.alone = nil, false
	case isBadHandle(err) && l.settling != nil && !l.settling.release && len(l.settling.unsent) == 0:
		// Its own delete may have been carried out and the answer lost: the
		// next try of that will tell.
		l.cause, l.fading = err, true
	case isBadHandle(err):
		l.cause = err
		w.ledger.lose(l)
		w.onLost(l)
	default:
		l.cause = err
		l.retry(w.now)
	}
	if w.ledger.leases[l.id] != l {
		return
	}
	w.ledger.update(l)
	if s := l.settling; s != nil && s.release && !s.queued && !s.posting && s.call == nil && len(s.unsent) == 0 {
		w.advance(l)
	}
	if l.waiting != nil && err == nil {
		d := l.waiting
		w.unwait(l)
		if w.subscriber == nil || w.drain != nil && !w.drain.handOver {
			w.demand.credits++
			w.giveBack(l)
			return
		}
		w.deliver(d)
	}
}

// onLost tells that a lease is lost. It stays in the ledger for a late settle.
func (w *worker) onLost(l *lease) {
	err := w.lossOf(l)
	s := l.settling
	switch {
	case l.waiting != nil: // never handed over: it comes again
		w.unwait(l)
		w.demand.credits++
		w.ledger.close(l)
	case s == nil:
		w.counts.lost.Add(1)
		w.log.Warn("a lease is lost", "lease", uint64(l.id), "error", err)
		w.answer(w.subscriber, &LeaseLost{Lease: l.id, Err: err})
	case s.release || len(s.unsent) > 0 && !s.posting:
		w.tell(l, s, err)
		w.ledger.close(l)
	default: // the delete goes on: as long as nobody got the message it still ends it
		w.tell(l, s, err)
	}
}

func (w *worker) unwait(l *lease) {
	l.waiting = nil
	w.heldBack--
}

func (w *worker) lossOf(l *lease) error {
	switch {
	case l.limit().Sub(l.end) < time.Second:
		return ErrLeaseLimit
	case l.cause != nil:
		return fmt.Errorf("%w: it could not be extended: %w", ErrLeaseLost, l.cause)
	case l.fading:
		return fmt.Errorf("%w: it was not to be extended after its settle failed", ErrLeaseLost)
	}
	return fmt.Errorf("%w: no extension was answered in time", ErrLeaseLost)
}

func (w *worker) onLengthen(m *Lengthen) {
	l := w.ledger.leases[m.Lease]
	length := time.Duration(wholeSeconds(min(max(m.For, time.Second), MaxLease))) * time.Second
	if l == nil || l.lost || l.length == length {
		return
	}
	l.length = length
	l.extendAt = w.now
	w.ledger.update(l)
}

// replan puts the stages of all leases in order after a panic: whoever waits
// for a request that is not under way any more is queued again.
func (w *worker) replan() {
	w.deletes.remove(func(*lease) bool { return true })
	w.changes.remove(func(*lease) bool { return true })
	w.later = nil
	w.ongoing = [kinds]int{}
	extending := map[*lease]bool{}
	for c := range w.calls {
		w.ongoing[c.kind]++
		if c.kind == extension {
			for _, l := range c.leases {
				extending[l] = true
			}
		}
	}
	asked := 0
	for r := range w.receives {
		asked += r.asked
	}
	w.demand.asked, w.demand.underWay = asked, len(w.receives)
	w.heldBack = 0
	for _, l := range w.ledger.leases {
		if l.extending && !extending[l] {
			l.extending = false
			l.extendAt = w.now
		}
		if l.waiting != nil {
			w.heldBack++
		}
		s := l.settling
		w.ledger.update(l)
		if s == nil || s.posting || s.call != nil && w.calls[s.call] {
			continue
		}
		s.call, s.queued = nil, false
		w.advance(l)
	}
}
