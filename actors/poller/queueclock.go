package poller

import "time"

// queueClock is how far the queue's clock is ahead of the clock of this process, as
// messages show it at their first receive: the queue gives the time of that, in
// milliseconds, and it lies between the begin and the end of the request. The true
// difference therefore lies between low and high. It is pure.
//
// low is off by the way of the answer only, since a receive is answered as soon as it
// has a message. high is off by the length of a long poll.
type queueClock struct {
	low, high time.Duration
	at        time.Time // of the last message that said something; zero: none has
}

// clockDrift bounds how two clocks run apart: by a nanosecond in so many. Clocks of
// computers without any correction do by up to 200 in a million.
const clockDrift = 5000

// seen notes a message that the queue says was received for the first time at first,
// by a request that began at start and was answered at ended. What does not fit to
// what was known is a clock that was set: it counts alone.
func (c queueClock) seen(first, start, ended time.Time) queueClock {
	low, high := first.Sub(ended), first.Add(time.Millisecond).Sub(start)
	if high < low { // the clock was set during the request
		return c
	}
	if !c.at.IsZero() {
		drift := max(ended.Sub(c.at), 0) / clockDrift
		if l, h := max(low, c.low-drift), min(high, c.high+drift); l <= h {
			low, high = l, h
		}
	}
	return queueClock{low: low, high: high, at: ended}
}

// ahead returns the least that the queue's clock is ahead by: what is due by it is
// due. It is negative if that clock is behind; known is false before the first message.
func (c queueClock) ahead() (d time.Duration, known bool) { return c.low, !c.at.IsZero() }

// readQueueClock learns from the messages of a receive.
func (w *worker) readQueueClock(m *received) {
	for _, in := range m.messages {
		if d := in.delivered; d.ReceiveCount == 1 && !d.FirstReceived.IsZero() {
			w.queueClock = w.queueClock.seen(d.FirstReceived, m.receive.start, m.ended)
		}
	}
	if ahead, known := w.queueClock.ahead(); known {
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
