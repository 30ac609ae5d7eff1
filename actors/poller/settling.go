package poller

import (
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
		if r.Err != nil {
			unsent = append(unsent, s.unsent[i])
			if failure == nil || isHopeless(r.Err) {
				failure = r.Err
			}
		}
	}
	s.unsent = unsent
	switch {
	case failure == nil:
		w.advance(l)
	case l.lost:
		w.finish(l, ErrLeaseLost)
	case isHopeless(failure) || w.now.Sub(s.since) > l.length:
		// The subscriber may settle it in another way while the lease lasts.
		w.log.Error("a message that was to be sent before another is settled cannot be sent", "error", failure)
		w.ledger.unsettle(l)
		w.tell(l, s, failure)
	default:
		w.postpone(l, time.Time{})
	}
}

// isHopeless tells whether sending the same again cannot help.
func isHopeless(err error) bool {
	return errors.Is(err, ErrInvalidMessage) || errors.Is(err, ErrQueueName) || errors.Is(err, ErrSenderClosed) || errors.Is(err, ErrOrder)
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
	default:
		w.postpone(l, again)
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
	w.tell(l, s, err)
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
