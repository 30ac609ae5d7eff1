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
