package poller

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"
)

// The ways of settling. The settlement decides (settlement.go), perform does it:
//
//	delete     the message is removed; the task is done
//	release    the message is visible again, at once or at a time
//	send       copies and other messages go first: nothing is lost if the rest fails
//	put off    a right is refused, or a queue is away: hidden until that may have changed
//	postpone   the request failed: the same again, after a pause, with the lease kept
//	take back  a message can never be sent: the subscriber may settle in another way
//	refuse     the lease is lost, or is being settled already: answered at once
//	drain      refused rights end a settle, and Drain.Until ends all of them

// postponement is a settlement that waits for its next try.
type postponement struct {
	at    time.Time
	lease *lease
}

// onSettle begins the settlement that the subscriber asks for. One that comes
// after the loss of its lease is refused, but its delete is tried: the work is
// done, and the old handle may still end the message.
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
	s := &settlement{kind: deletion, unsent: w.addressed(m.Send), since: w.now, link: m.Link}
	if m.Release {
		s.kind, s.visibleAt = release, w.now.Add(max(m.Visible, 0))
		if over := w.receivesOver(); m.AfterReceives && over.After(s.visibleAt) {
			s.visibleAt = over
		}
	}
	if l.stage == lost {
		w.answer(w.subscriber, &Settled{Lease: m.Lease, Err: ErrLeaseLost})
		if !s.deleting() {
			w.ledger.close(l)
			return
		}
		s.own = true
	}
	w.begin(l, s)
}

// addressed returns messages with their pool filled in.
func (w *worker) addressed(outs []Outgoing) []Outgoing {
	outs = slices.Clone(outs)
	for i := range outs {
		outs[i].Pool = cmp.Or(outs[i].Pool, w.cfg.QueueURL)
	}
	return outs
}

// giveBack releases a message that is not to be run here.
func (w *worker) giveBack(l *lease) {
	w.begin(l, &settlement{kind: release, visibleAt: w.now, since: w.now, own: true})
}

func (w *worker) begin(l *lease, s *settlement) {
	w.settles++
	s.serial = w.settles
	w.unflushed = append(w.unflushed, s)
	w.ledger.settle(l, s)
	w.advance(l)
}

// advance takes the next step of a settlement, whatever stage it was in.
func (w *worker) advance(l *lease) {
	s := l.settling
	s.stage, s.call = ready, nil
	w.perform(l, s.next(l.renewal.requested(), w.obstacle(s)))
}

func (w *worker) perform(l *lease, d decision) {
	s := l.settling
	switch d.step {
	case proceed:
		w.advance(l)
	case send:
		w.post(l)
	case block:
		s.stage = blocked
	case request:
		s.stage = batched
		w.batches[s.kind].add(l, w.now)
	case postpone:
		w.postpone(l, d.at)
	case putOff:
		// Half of the wait is spread, so that messages do not come back at once.
		wait := max(d.at.Sub(w.now), refusalLeast)
		s.hide(w.now.Add(wait+time.Duration(w.demand.random()*float64(wait/2))), d.err)
		w.ledger.update(l)
		w.advance(l)
	case takeBack:
		w.log.Error("a message that was to be sent before another is settled cannot be sent", "error", d.err)
		w.ledger.unsettle(l)
		w.settled(l, s, d.err)
	case finish:
		w.finish(l, d.err)
	}
}

// posted is the sender's answer to the messages of a settle.
type posted struct {
	lease   *lease
	s       *settlement
	results []Result
}

// IgnoreDeadLetterLogging keeps an answer that comes after the end out of the log.
func (*posted) IgnoreDeadLetterLogging() {}

func (w *worker) post(l *lease) {
	s := l.settling
	s.stage = sending
	m := &posted{lease: l, s: s, results: make([]Result, len(s.unsent))}
	var left atomic.Int64
	left.Store(int64(len(s.unsent)))
	spans := w.cfg.Tracing.sending(s.unsent, s.link)
	w.cfg.Sender.post(s.unsent, func(i int, r Result) {
		sent(spans, i, r)
		m.results[i] = r
		if left.Add(-1) == 0 {
			w.root.Send(w.self, m)
		}
	})
}

func (w *worker) onPosted(m *posted) {
	l, s := m.lease, m.s
	if l.stage == closed || s.stage != sending {
		return
	}
	var unsent []Outgoing
	var failure error
	for i, r := range m.results {
		if s.unsent[i].Optional && r.Err != nil {
			w.counts.leftOut.Add(1)
			w.log.Debug("an optional message is not sent, and its settle goes on without it",
				"pool", s.unsent[i].Pool, "error", r.Err)
			continue
		}
		w.noteSend(s.unsent[i].Pool, r.Err)
		if r.Err != nil {
			unsent = append(unsent, s.unsent[i])
			if failure == nil || isHopeless(r.Err) {
				failure = r.Err
			}
		}
	}
	s.unsent = unsent
	w.perform(l, s.afterSend(failure, w.obstacle(s), l.over(), w.now.Sub(s.since) <= l.length))
}

// postpone plans the next try, for at or, if that is zero, after a pause of the
// lease's own.
func (w *worker) postpone(l *lease, at time.Time) {
	s := l.settling
	s.tries++
	s.stage, s.call = postponed, nil
	if at.IsZero() {
		at = w.now.Add(pause(s.tries, w.demand.random))
	}
	w.later = append(w.later, postponement{at, l})
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
		case p.lease.stage == closed:
		case p.at.After(w.now):
			if len(w.later) == 0 || p.at.Before(w.laterAt) {
				w.laterAt = p.at
			}
			w.later = append(w.later, p)
		default:
			w.advance(p.lease)
		}
	}
}

// settleDue makes the deletes and releases that are due. Nothing lingers when
// no other settle can come: no message is in execution, or a flush waits.
func (w *worker) settleDue() {
	company := w.ledger.unsettled() > 0 && len(w.flushes) == 0
	for k := range w.batches {
		b := &w.batches[k]
		for w.ongoing[k] < w.set.MaxRequests && b.due(w.now, company) {
			w.call(kind(k), b.take(alone()))
		}
	}
}

// finish ends a lease that is settled, or cannot be.
func (w *worker) finish(l *lease, err error) {
	s := l.settling
	if err == nil {
		if s.kind == release {
			w.counts.released.Add(1)
		} else {
			w.counts.deleted.Add(1)
		}
	}
	w.ledger.close(l)
	w.settled(l, s, cmp.Or(err, s.refused))
}

// settled answers the settle, once.
func (w *worker) settled(l *lease, s *settlement, err error) {
	if s.answered {
		return
	}
	s.answered = true
	if err != nil {
		w.counts.unsettled.Add(1)
	}
	if !s.own {
		w.answer(w.subscriber, &Settled{Lease: l.id, Err: err})
	}
}
