package poller

import (
	"fmt"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

// recover puts the state in order after a panic, and tries the message that was
// in hand once more. If that fails too the lease it was about is given up: no
// other message would ever settle it.
func (w *worker) recover(ctx actor.Context) {
	w.counts.restarts.Add(1)
	m, again := w.current, !w.retried
	w.current = nil
	w.armed = time.Time{}
	w.replan()
	var l *lease
	if settle, ok := m.(*Settle); ok {
		l = w.ledger.leases[settle.Lease]
	}
	switch {
	case m == nil, l != nil && l.settling != nil:
	case again:
		w.current, w.retried = m, true
		w.dispatch(ctx, m)
		w.current = nil
	default:
		if l != nil {
			w.ledger.close(l)
		}
		w.log.Error("a message failed twice and is dropped", "type", fmt.Sprintf("%T", m))
	}
	w.retried = false
}

// replan puts the stages of all leases in order after a panic: what waits for a
// request that is not under way any more is decided again.
func (w *worker) replan() {
	for k := range w.batches {
		w.batches[k].remove(func(*lease) bool { return true })
	}
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
	w.demand.asked, w.demand.underWay = 0, len(w.receives)
	for r := range w.receives {
		w.demand.asked += r.asked
	}
	for l := range w.ledger.inOrder() {
		if l.renewal.requested() && !extending[l] {
			l.renewal = l.renewal.answered()
			l.extendAt = w.now
		}
		w.ledger.update(l)
		if s := l.settling; s != nil && s.stage != sending && !w.calls[s.call] {
			w.advance(l)
		}
	}
}
