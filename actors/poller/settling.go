package poller

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// settlement is how a lease is to end. Its stages: sending what comes first,
// waiting for company, in a request, postponed to the next try.
type settlement struct {
	release   bool
	posting   bool       // unsent is with the sender
	queued    bool       // it waits in deletes, changes or later
	over      bool       // answered, or silently done
	silent    bool       // nobody is told: not asked for by the subscriber
	refused   error      // why it is given back instead of what was asked for
	visibleAt time.Time  // with release
	unsent    []Outgoing // to be sent before all else
	call      *call      // the request it is in
	since     time.Time
	tries     int
	serial    uint64 // in order of coming, for Flush
	link      *trace.Link
}

// postponed is a settlement that waits for its next try.
type postponed struct {
	at    time.Time
	lease *lease
}

func (w *worker) onSettle(m *Settle) {
	l := w.ledger.leases[m.Lease]
	switch {
	case l == nil:
		w.answer(w.subscriber, &Settled{Lease: m.Lease, Err: ErrLeaseLost})
		return
	case l.settling != nil:
		w.answer(w.subscriber, &Settled{Lease: m.Lease, Err: ErrSettling})
		return
	}
	s := &settlement{release: m.Release, unsent: m.Send, since: w.now, link: m.Link}
	if l.lost {
		w.answer(w.subscriber, &Settled{Lease: m.Lease, Err: ErrLeaseLost})
		if s.release || len(s.unsent) > 0 {
			w.ledger.close(l)
			return
		}
		s.silent = true // the work is done: delete it, if the old handle still can
	}
	if s.release {
		s.visibleAt = w.now.Add(max(m.Visible, 0))
	}
	w.begin(l, s)
}

// giveBack releases a message that nobody runs.
func (w *worker) giveBack(l *lease) {
	if l.waiting != nil {
		w.unwait(l)
	}
	w.begin(l, &settlement{release: true, visibleAt: w.now, since: w.now, silent: true})
}

func (w *worker) begin(l *lease, s *settlement) {
	w.settles++
	s.serial = w.settles
	w.unflushed = append(w.unflushed, s)
	w.ledger.settle(l, s)
	w.advance(l)
}

// advance takes a settlement that is in no stage into its next.
func (w *worker) advance(l *lease) {
	s := l.settling
	switch {
	case len(s.unsent) > 0:
		if at, why := w.barred(s); why != nil {
			w.putOff(l, at, why)
			return
		}
		w.post(l)
	case s.release && l.extending:
		// An extension that SQS carries out after the release would hide the
		// message again: the release waits for its answer.
	case s.release:
		s.queued = true
		w.changes.add(l, w.now)
	default:
		s.queued = true
		w.deletes.add(l, w.now)
	}
}

// posted says what became of the messages of a settle.
type posted struct {
	lease   *lease
	s       *settlement
	results []Result
}

// IgnoreDeadLetterLogging keeps an answer that comes after the end out of the log.
func (*posted) IgnoreDeadLetterLogging() {}

func (w *worker) post(l *lease) {
	s := l.settling
	s.posting = true
	outs := make([]Outgoing, len(s.unsent))
	for i, out := range s.unsent {
		if out.Pool == "" {
			out.Pool = w.cfg.QueueURL
		}
		outs[i] = out
	}
	m := &posted{lease: l, s: s, results: make([]Result, len(outs))}
	var left atomic.Int64
	left.Store(int64(len(outs)))
	spans := w.cfg.Tracing.sending(outs, s.link)
	w.cfg.Sender.post(outs, func(i int, r Result) {
		sent(spans, i, r)
		m.results[i] = r
		if left.Add(-1) == 0 {
			w.root.Send(w.self, m)
		}
	})
}

func (w *worker) onPosted(m *posted) {
	l, s := m.lease, m.s
	s.posting = false
	if w.ledger.leases[l.id] != l || l.settling != s {
		return
	}
	var unsent []Outgoing
	var failure error
	for i, r := range m.results {
		w.noteSend(m.s.unsent[i].Pool, r.Err)
		if r.Err != nil {
			unsent = append(unsent, s.unsent[i])
			if failure == nil || isHopeless(r.Err) {
				failure = r.Err
			}
		}
	}
	s.unsent = unsent
	at, why := w.barred(s)
	switch {
	case failure == nil:
		w.advance(l)
	case l.lost:
		w.finish(l, ErrLeaseLost)
	case isDenied(failure), why != nil && !isHopeless(failure):
		w.putOff(l, at, cmp.Or(why, failure))
	case isHopeless(failure) || w.now.Sub(s.since) > l.length:
		// The subscriber may settle it in another way while the lease lasts.
		w.log.Error("a message that was to be sent before another is settled cannot be sent", "error", failure)
		w.ledger.unsettle(l)
		w.tell(l, s, failure)
	default:
		w.postpone(l, time.Time{})
	}
}

// noteSend keeps what is known of the right to send to a pool.
func (w *worker) noteSend(pool string, err error) {
	pool = cmp.Or(pool, w.cfg.QueueURL)
	switch {
	case err == nil:
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

// deletesLost is how long deletes may fail before a settle that would send a
// copy is given up, and its message hidden.
const deletesLost = 30 * time.Second

// ErrDeletesFail answers a [Settle] that would send a copy of a message while
// deletes do not get through: both would be there afterwards, and twice as many
// after the next attempt.
var ErrDeletesFail = errors.New("poller: deletes do not get through: no copy is sent of a message that could not be deleted")

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

// deleting reports whether a delete waits or is under way.
func (w *worker) deleting() bool {
	for _, l := range w.ledger.leases {
		if s := l.settling; s != nil && !s.release && !s.posting && len(s.unsent) == 0 {
			return true
		}
	}
	return false
}

// barred reports why a settlement's messages are not to be sent now, and when
// to try again. It returns no error if they may be sent.
func (w *worker) barred(s *settlement) (at time.Time, why error) {
	if !s.release && !w.deletesFail.IsZero() {
		if w.deleting() { // what is tried there says when deletes work again
			if f := w.refusals.barred(ActionDelete, w.cfg.QueueURL, w.now); f != nil {
				return f.Next, fmt.Errorf("%w: %w", ErrDeletesFail, &RefusedError{Action: f.Action, Queue: f.Queue, Away: f.Away})
			}
			return w.now.Add(min(w.now.Sub(w.deletesFail), refusalMost)), ErrDeletesFail
		}
		w.deletesFail = time.Time{}
	}
	for _, out := range s.unsent {
		pool := cmp.Or(out.Pool, w.cfg.QueueURL)
		if f := w.refusals.barred(ActionSend, pool, w.now); f != nil {
			return f.Next, &RefusedError{Action: f.Action, Queue: f.Queue, Away: f.Away, Err: errors.New(f.Error)}
		}
	}
	return time.Time{}, nil
}

// putOff hides a message, in place of what was asked for, until that may work.
// Half of the time again is spread, so that those who wait do not come at once.
// Where deletes have failed for a moment only, it waits with its lease kept.
func (w *worker) putOff(l *lease, at time.Time, why error) {
	s := l.settling
	if errors.Is(why, ErrDeletesFail) && w.now.Sub(w.deletesFail) < deletesLost {
		w.postpone(l, time.Time{})
		return
	}
	wait := max(at.Sub(w.now), refusalLeast)
	s.unsent, s.release, s.refused = nil, true, why
	s.visibleAt = w.now.Add(wait + time.Duration(w.demand.random()*float64(wait/2)))
	w.ledger.update(l)
	w.advance(l)
}

// isHopeless tells whether sending the same again cannot help.
func isHopeless(err error) bool {
	var entry *BatchError
	return errors.As(err, &entry) && entry.SenderFault || errors.Is(err, ErrInvalidMessage) || errors.Is(err, ErrQueueName) || errors.Is(err, ErrSenderClosed) || errors.Is(err, ErrOrder)
}

// postpone plans the next try, for at or, if that is zero, after a pause of the
// lease's own.
func (w *worker) postpone(l *lease, at time.Time) {
	s := l.settling
	s.tries++
	s.queued = true
	if at.IsZero() {
		at = w.now.Add(pause(s.tries))
	}
	w.later = append(w.later, postponed{at, l})
	if len(w.later) == 1 || at.Before(w.laterAt) {
		w.laterAt = at
	}
}

func (w *worker) postponedDue() {
	if len(w.later) == 0 || w.laterAt.After(w.now) {
		return
	}
	waiting := w.later
	w.later = nil
	for _, p := range waiting {
		switch {
		case w.ledger.leases[p.lease.id] != p.lease || p.lease.settling == nil:
		case p.at.After(w.now):
			if len(w.later) == 0 || p.at.Before(w.laterAt) {
				w.laterAt = p.at
			}
			w.later = append(w.later, p)
		default:
			p.lease.settling.queued = false
			w.advance(p.lease)
		}
	}
}

// settleDue makes the deletes and releases that are due. Nothing lingers when
// no other settle can come: no message is in execution, or a flush waits.
func (w *worker) settleDue() {
	company := w.ledger.unsettled > 0 && len(w.flushes) == 0
	for w.ongoing[deletion] < w.set.MaxRequests && w.deletes.due(w.now, company) {
		w.call(deletion, w.deletes.take(alone()))
	}
	for w.ongoing[release] < w.set.MaxRequests && w.changes.due(w.now, company) {
		w.call(release, w.changes.take(alone()))
	}
}

// onSettleAnswer takes what the queue said of one lease in a delete or release.
// What failed together is tried again together, at again; zero: at a time of
// its own.
func (w *worker) onSettleAnswer(l *lease, err error, again time.Time) {
	s := l.settling
	s.call = nil
	switch {
	case err == nil:
		w.finish(l, nil)
	case isBadHandle(err):
		w.finish(l, fmt.Errorf("%w: %w", ErrLeaseLost, err))
	case l.lost && s.release:
		w.finish(l, ErrLeaseLost)
	case w.drain == nil:
		w.postpone(l, again)
	case isDenied(err):
		w.finish(l, err)
	default:
		w.postpone(l, time.Time{})
	}
}

// ErrDrained answers a [Settle] that has no answer of the queue at the end of
// [Drain.Until]. The message comes back when its lease ends.
var ErrDrained = errors.New("poller: the drain has ended before the queue answered a settle")

// giveUpSettles ends all settles at the end of a drain.
func (w *worker) giveUpSettles() {
	for _, l := range w.ledger.leases {
		if s := l.settling; s != nil && !s.over {
			w.finish(l, ErrDrained)
		}
	}
}

// finish ends a lease that is settled, or cannot be.
func (w *worker) finish(l *lease, err error) {
	s := l.settling
	if err == nil {
		if s.release {
			w.counts.released.Add(1)
		} else {
			w.counts.deleted.Add(1)
		}
	}
	w.ledger.close(l)
	w.tell(l, s, cmp.Or(err, s.refused))
}

// tell answers the settle, once.
func (w *worker) tell(l *lease, s *settlement, err error) {
	if s.over {
		return
	}
	s.over = true
	if err != nil {
		w.counts.unsettled.Add(1)
	}
	if !s.silent {
		w.answer(w.subscriber, &Settled{Lease: l.id, Err: err})
	}
}

// flush waits for all settlements up to a serial.
type flush struct {
	serial uint64
	asker  func()
}

func (w *worker) concludeFlushes() {
	n := 0
	for n < len(w.unflushed) && w.unflushed[n].over {
		n++
	}
	if n > 0 {
		clear(w.unflushed[:n])
		if w.unflushed = w.unflushed[n:]; len(w.unflushed) == 0 {
			w.unflushed = nil
		}
	}
	for len(w.flushes) > 0 && (len(w.unflushed) == 0 || w.unflushed[0].serial > w.flushes[0].serial) {
		w.flushes[0].asker()
		w.flushes = w.flushes[1:]
	}
}
