package engine

import (
	"maps"
	"math"
	"slices"
)

// MaxInFlight is how many messages of a queue may be in flight (Amazon SQS
// quotas: 120 000).
const MaxInFlight = 120_000

// Received is one delivery of a message.
type Received struct {
	ID       [16]byte
	Queue    int64
	Seq      uint64
	Receives uint32
	Before   uint32 // receives of the queues that it was dead-lettered from
	Sent     int64
	First    int64
	Group    string
	Origin   *Key
	Content  *Content // nil: to be read from the store
	FIFO     bool
}

// Waiter is a receive call: the question, and once it has been answered,
// Messages or Err.
type Waiter struct {
	Queue      *Queue
	Max        int    // 1 to 10
	Visibility int64  // s; -1: the queue's
	Wait       int64  // s; -1: the queue's
	Attempt    string // names the call and its repetitions, which get the same messages on a FIFO queue
	Retry      bool   // it is a repetition
	Explicit   bool   // Attempt is a ReceiveRequestAttemptId, for which any call may be a repetition

	Messages []Received
	Err      *Error
	Ready    chan struct{} // for the caller's use; the engine does not touch it

	attempt    *attempt
	parked     bool
	pos        int32
	prev, next *Waiter
}

// Receive answers w at once, or parks it if there is nothing and it is ready
// to wait. It reports whether w is answered.
func (e *Engine) Receive(now int64, w *Waiter) bool {
	q := w.Queue
	if w.Visibility < 0 {
		w.Visibility = q.attrs.visibility
	}
	if w.Wait < 0 {
		w.Wait = q.attrs.wait
	}
	if !q.attrs.fifo {
		w.Attempt = "" // SQS repeats receives of FIFO queues only: elsewhere a lost answer hides its messages
	}
	if q.inflight >= e.cfg.InFlight && w.Wait == 0 && !q.attrs.fifo {
		w.Err = overLimit("The maximum number of in flight messages is reached.")
		return true
	}
	if e.repeat(now, w) {
		return true
	}
	if e.unkind != nil && w.Wait == 0 && !q.attrs.fifo {
		w.Max = e.unkind.sample(w.Max)
	}
	if e.ending {
		w.Wait = 0
	}
	e.take(now, w)
	if len(w.Messages) == 0 && w.Wait == 0 {
		return true
	}
	if len(w.Messages) == 0 {
		e.park(w, now+w.Wait*second)
	}
	e.note(now, w)
	return !w.parked
}

// take gives w up to Max messages.
func (e *Engine) take(now int64, w *Waiter) {
	q := w.Queue
	for len(w.Messages) < w.Max && q.turn != nil && q.inflight < e.cfg.InFlight {
		g := q.turn
		if q.fair != nil {
			g = q.fair.next(now)
		}
		if !q.attrs.fifo {
			if m := e.next(now, g, math.MaxUint64); m != nil {
				e.deliver(now, m, w)
			}
			if q.turn == g { // not the only one, and still with something to give
				q.turn = g.next
			}
			continue
		}
		// FIFO: as many as there are of one group; they hide what comes after them only afterwards
		before := g.firstHidden()
		if q.scan != nil {
			before = min(before, q.scan.last+1)
		}
		for len(w.Messages) < w.Max && q.inflight < e.cfg.InFlight {
			m := e.next(now, g, before)
			if m == nil {
				break
			}
			e.deliver(now, m, w)
		}
		g.turn()
	}
}

// next takes the first available message with a Seq less than before out of
// g's order, sending those that were received too often to the dead-letter queue.
func (e *Engine) next(now int64, g *group, before uint64) *Message {
	q := g.queue
	for {
		m := g.head()
		if m == nil || m.Seq >= before {
			g.turn()
			return nil
		}
		if r := q.attrs.redrive; r != nil && int(m.receives) >= r.Max {
			if target := e.queues[r.Target]; target != nil && target != q {
				e.move(now, m, target, &q.Key, nil)
				continue
			}
		}
		g.withdraw(m)
		return m
	}
}

// deliver makes m, which is out of its order, in flight and part of w's answer.
func (e *Engine) deliver(now int64, m *Message, w *Waiter) {
	g, q := m.group, m.group.queue
	if m.receives == 0 {
		m.first = now
		q.handled[m.Seq] = m
	}
	m.receives++
	m.received = now
	m.state = inFlight
	q.inflight++
	if q.fair != nil {
		q.fair.began(g)
	}
	g.hide(m)
	due := now + w.Visibility*second
	if e.unkind != nil && !q.attrs.fifo {
		due = now + e.unkind.double(w.Visibility*second)
	}
	e.timers.heap.push(due, m.Seq, m)
	if !q.attrs.fifo {
		g.turn()
	}
	if w.Messages == nil {
		w.Messages = make([]Received, 0, min(w.Max, q.visible+1))
	}
	w.Messages = append(w.Messages, m.delivery())
	e.recordMeta(m, due)
}

func (m *Message) delivery() Received {
	q := m.group.queue
	return Received{ID: m.ID, Queue: q.ID, Seq: m.Seq, Receives: m.receives, Before: m.before, Sent: m.Sent,
		First: m.first,
		Group: m.group.name, Origin: m.origin, Content: m.content, FIFO: q.attrs.fifo}
}

// waiterList is the line of long polls of a queue, first come first served.
type waiterList struct {
	first, last *Waiter
	n           int
}

func (e *Engine) park(w *Waiter, until int64) {
	l := &w.Queue.waiters
	w.parked, w.prev, w.next = true, l.last, nil
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.n++
	e.timers.heap.push(until, 0, w)
}

func (e *Engine) unpark(w *Waiter) {
	l := &w.Queue.waiters
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.parked, w.prev, w.next = false, nil, nil
	l.n--
	if w.pos >= 0 {
		e.timers.heap.remove(w.pos)
	}
}

// Cancel ends the wait of a caller that has left. It reports false if w has already
// been answered: its messages are in flight then.
func (e *Engine) Cancel(w *Waiter) bool {
	if !w.parked {
		return false
	}
	e.unpark(w)
	return true
}

// CancelAll answers all waiters with nothing, and lets no other wait.
func (e *Engine) CancelAll() {
	e.ending = true
	for _, key := range slices.SortedFunc(maps.Keys(e.queues), Key.compare) {
		q := e.queues[key]
		for w := q.waiters.first; w != nil; w = q.waiters.first {
			e.unpark(w)
			e.woken = append(e.woken, w)
		}
	}
}

// serve gives a queue's messages to those who wait for them.
func (e *Engine) serve(now int64, q *Queue) {
	for w := q.waiters.first; w != nil && q.turn != nil; w = q.waiters.first {
		e.take(now, w)
		if len(w.Messages) == 0 {
			return
		}
		e.unpark(w)
		if w.attempt != nil {
			w.attempt.fill(w)
		}
		e.woken = append(e.woken, w)
	}
}

// due ends a wait with nothing.
func (w *Waiter) due(e *Engine, _ int64) {
	e.unpark(w)
	e.woken = append(e.woken, w)
}

func (w *Waiter) setPos(i int32) { w.pos = i }
