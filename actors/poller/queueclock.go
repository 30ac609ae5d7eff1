package poller

import "time"

// readQueueClock learns how far the queue's clock is ahead from the messages of a receive:
// at the first receive of each the queue gives the time of that, in milliseconds.
func (w *worker) readQueueClock(m *received) {
	for _, in := range m.messages {
		if d := in.delivered; d.ReceiveCount == 1 && !d.FirstReceived.IsZero() {
			w.queueClock = w.queueClock.Seen(d.FirstReceived, time.Millisecond, m.receive.start, m.ended)
		}
	}
	if w.queueClock.Known() {
		ahead := w.ahead()
		w.queueAhead.Store(&ahead)
	}
}

// QueueClock returns how far the queue's clock is ahead of the clock of this process,
// to the way of an answer: time.Now().Add(ahead) is the queue's time, or a little
// before it. It is negative if the queue's clock is behind. known is false before the
// first message. It may be called from any goroutine, and asks nothing of the queue.
func (p *Poller) QueueClock() (ahead time.Duration, known bool) {
	if d := p.queueAhead.Load(); d != nil {
		return *d, true
	}
	return 0, false
}

// ahead is how far the queue's clock is ahead of the wall clock of this process, at
// least: what is due by it is due. It is negative if that clock is behind, and 0 before the
// first message. It is measured by the clock of leases, which does not go back with the wall
// clock, and subscribers read the wall clock.
func (w *worker) ahead() time.Duration {
	if !w.queueClock.Known() {
		return 0
	}
	return w.queueClock.Least() + w.clock.AheadOfWall()
}
