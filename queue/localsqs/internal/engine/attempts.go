package engine

// attemptWindow is how long a receive can be repeated (Amazon SQS:
// ReceiveRequestAttemptId, 5 minutes).
const attemptWindow = 300 * second

// attempts are the recent receives of FIFO queues that may be asked again,
// because their answer did not arrive. One is dropped when its messages are no longer in
// flight by it: each new one looks at two old ones, so that there are never
// many more than receives with messages in flight.
type attempts struct {
	byKey map[attemptKey]*attempt
	order deque[*attempt]
}

type attemptKey struct {
	queue int64
	id    string
}

type attempt struct {
	key    attemptKey
	end    int64
	waiter *Waiter // while it is parked
	given  []receipt
}

// repeat answers a repeated attempt with the messages of the first and restarts
// their visibility, or takes the place of the first if that still waits.
func (e *Engine) repeat(now int64, w *Waiter) bool {
	if w.Attempt == "" {
		return false
	}
	q := w.Queue
	a := e.attempts.byKey[attemptKey{q.ID, w.Attempt}]
	if a == nil || a.end <= now || !w.Retry && !w.Explicit {
		return false
	}
	if a.waiter != nil && a.waiter.parked {
		e.unpark(a.waiter)
		e.woken = append(e.woken, a.waiter)
		return false
	}
	var live []*Message
	for _, r := range a.given {
		if m := q.handled[r.seq]; m != nil && m.receives == r.receives && m.state == inFlight {
			live = append(live, m)
		}
	}
	if w.Explicit && len(live) < len(a.given) {
		w.Err = InvalidParameter(w.Attempt, "ReceiveRequestAttemptId",
			"The receiveRequestAttemptId is not valid anymore since the receive call is not retryable.")
		return true
	}
	for _, m := range live {
		due := now + w.Visibility*second
		m.received = now
		e.timers.heap.remove(m.pos)
		e.timers.heap.push(due, m.Seq, m)
		w.Messages = append(w.Messages, m.delivery())
		e.recordMeta(m, due)
	}
	return len(live) > 0
}

// note remembers w, which has been parked or given messages.
func (e *Engine) note(now int64, w *Waiter) {
	if w.Attempt == "" {
		return
	}
	a := &attempt{key: attemptKey{w.Queue.ID, w.Attempt}, end: now + attemptWindow, waiter: w}
	w.attempt = a
	a.fill(w)
	e.attempts.byKey[a.key] = a
	for range min(2, e.attempts.order.len()) {
		old := e.attempts.order.pop()
		if old.end > now && e.attempts.byKey[old.key] == old && e.repeatable(old) {
			e.attempts.order.push(old)
		} else if e.attempts.byKey[old.key] == old {
			delete(e.attempts.byKey, old.key)
		}
	}
	e.attempts.order.push(a)
}

// fill takes over what w was given once it is answered.
func (a *attempt) fill(w *Waiter) {
	if w.parked {
		return
	}
	a.waiter = nil
	a.given = make([]receipt, len(w.Messages))
	for i := range w.Messages {
		a.given[i] = receipt{w.Messages[i].Seq, w.Messages[i].Receives}
	}
}

func (e *Engine) repeatable(a *attempt) bool {
	if a.waiter != nil {
		return a.waiter.parked
	}
	q := e.byID[a.key.queue]
	if q == nil {
		return false
	}
	for _, r := range a.given {
		if m := q.handled[r.seq]; m != nil && m.receives == r.receives {
			return true
		}
	}
	return false
}
