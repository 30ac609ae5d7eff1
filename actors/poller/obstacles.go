package poller

import (
	"errors"
	"fmt"
	"time"
)

// deletesLost is how long deletes may fail before a settle that would send a
// copy is given up, and its message hidden.
const deletesLost = 30 * time.Second

// obstacle returns why the messages of a settlement are not to be sent now.
func (w *worker) obstacle(s *settlement) obstacle {
	if len(s.unsent) == 0 {
		return obstacle{}
	}
	if s.kind == deletion && !w.deletesFail.IsZero() {
		// A delete that is tried shows when deletes work again. In a drain a refused one
		// is not tried again: no copy is sent until another delete has worked.
		if w.deleting() || w.drain != nil {
			o := obstacle{err: ErrDeletesFail, brief: w.drain == nil && w.now.Sub(w.deletesFail) < deletesLost}
			o.at = w.now.Add(min(w.now.Sub(w.deletesFail), refusalMost))
			if f := w.refusals.barred(ActionDelete, w.cfg.QueueURL, w.now); f != nil {
				o.at, o.err = f.Next, fmt.Errorf("%w: %w", ErrDeletesFail, f.because(nil))
			}
			return o
		}
		w.deletesFail = time.Time{}
	}
	for _, out := range s.unsent {
		if out.Optional {
			continue
		}
		if f := w.refusals.barred(ActionSend, out.Pool, w.now); f != nil {
			// Credentials that had expired are renewed soon, so the lease is kept meanwhile. A
			// message that was hidden would go to a process that knows nothing of its failures.
			return obstacle{at: f.Next, err: f.because(errors.New(f.Error)), brief: f.Expired && w.drain == nil}
		}
	}
	return obstacle{}
}

// deleting reports whether a delete waits or is under way.
func (w *worker) deleting() bool {
	for _, l := range w.ledger.leases {
		if l.settling != nil && l.settling.deleting() {
			return true
		}
	}
	return false
}

// noteDeletes keeps since when no delete got through.
func (w *worker) noteDeletes(m *called) {
	if m.call.kind != deletion {
		return
	}
	for i := range m.call.leases {
		if err := m.of(i); err == nil || m.err == nil && isBadHandle(err) {
			w.deletesFail = time.Time{}
			return
		}
	}
	if w.deletesFail.IsZero() {
		w.deletesFail = w.now
	}
}

// noteSend keeps what is known of the right to send to a pool.
func (w *worker) noteSend(pool string, err error) {
	switch {
	case err == nil:
		w.refusals.renewed()
		w.refusals.worked(ActionSend, pool)
		delete(w.sendsFail, pool)
	case isDenied(err):
		w.deny(ActionSend, pool, err)
	case !isHopeless(err):
		f := w.sendsFail[pool]
		away := f.again(w.now) || w.refusals.find(ActionSend, pool) >= 0
		if w.sendsFail == nil {
			w.sendsFail = map[string]failing{}
		}
		if w.sendsFail[pool] = f; away {
			w.deny(ActionSend, pool, err)
		}
	}
}

// deny notes that a right is refused, and returns when it is tried again.
func (w *worker) deny(action, queue string, err error) time.Time {
	f, news := w.refusals.refused(action, queue, w.now, err)
	f.Away = !isDenied(err)
	if news && w.ctx.Err() == nil {
		text := "the queue service refuses a right of this service: allow it in the policy of its role"
		if f.Away {
			text = "a queue cannot be sent to: what is to be sent there waits on its own queue until that works"
		}
		w.log.Error(text,
			"action", action, "queue", queueName(queue), "times", f.Times, "again_in", f.Next.Sub(w.now), "error", err)
	}
	return f.Next
}
