package poller

import (
	"context"
	"maps"
	"slices"
	"time"
)

// The attributes of the queues that messages of a pool go to: its own, which
// the poller reads without being asked, and those of each Look.

const (
	// lookEvery is how old the attributes of a queue may be. SQS takes a
	// minute to make a change of them known, 15 for the retention (API
	// reference, SetQueueAttributes).
	lookEvery = 30 * time.Minute
	// lookAgain is the pause after a look that failed.
	lookAgain = time.Minute
	// lookSoon is that pause for the pool's own queue while nothing is known of it:
	// nothing is received meanwhile.
	lookSoon = time.Second
)

// look is what is known of one queue.
type look struct {
	pool     string // empty: the poller's own
	ensure   EnsureOptions
	url      string
	next     time.Time // no look before
	underWay bool
	ended    bool       // one was answered: with the attributes, or a refusal that lasts
	asked    bool       // the subscriber wants to know
	last     *QueueRead // nil: none has ended
}

// looked is the end of a look.
type looked struct {
	look *look
	url  string
	read QueueRead
}

// IgnoreDeadLetterLogging keeps an answer that comes after the end out of the log.
func (*looked) IgnoreDeadLetterLogging() {}

func (w *worker) onLook(m *Look) {
	l := w.looks[m.Pool]
	if l == nil {
		l = &look{pool: m.Pool}
		w.looks[m.Pool] = l
	}
	l.ensure = m.Ensure
	l.asked = true
	if l.next = w.now; l.last != nil {
		w.answer(w.subscriber, l.last) // what is known; a change follows
	}
	w.looksDue()
}

func (w *worker) looksDue() {
	for _, pool := range slices.Sorted(maps.Keys(w.looks)) { // requests go out in one order
		l := w.looks[pool]
		if !l.underWay && !w.now.Before(l.next) && w.drain == nil {
			w.look(l)
		}
	}
}

func (w *worker) look(l *look) {
	l.underWay = true
	pool, url, ensure := l.pool, l.url, l.ensure
	if pool == "" {
		url = w.cfg.QueueURL
	}
	w.crew.Run(func() {
		ctx, cancel := context.WithTimeout(w.ctx, w.set.RequestTimeout)
		defer cancel()
		m := &looked{look: l, read: QueueRead{Pool: pool}}
		m.read.Err = safely(func() (err error) {
			if url == "" {
				if url, err = EnsureQueue(ctx, w.cfg.Client, pool, ensure); err != nil {
					return err
				}
			}
			m.url = url
			m.read.Attributes, err = ReadQueue(ctx, w.cfg.Client, url)
			return err
		})
		w.root.Send(w.self, m)
	})
}

func (w *worker) onLooked(m *looked) {
	l := m.look
	l.underWay = false
	l.url = m.url
	l.next = w.now.Add(lookEvery)
	switch err := m.read.Err; {
	case err == nil:
		w.refusals.renewed()
		l.ended = true
	case isDenied(err) && !isExpired(err): // it works without; the subscriber says what is missing
		l.ended = true
	default:
		w.failedCall(err)
		l.ended = l.ended || isRefusal(err) && !isDenied(err)
		if l.next, l.url = w.now.Add(lookAgain), ""; !l.ended && l.pool == "" {
			l.next = w.now.Add(lookSoon)
		}
		if l.last != nil && l.last.Err == nil {
			return // what was read stays true for the time being
		}
	}
	if m.read.Err == nil && l.pool == "" {
		w.ledger.keep(m.read.Attributes.Retention)
		w.attributes.Store(&m.read.Attributes)
	}
	if l.last != nil && l.last.Attributes == m.read.Attributes && (l.last.Err == nil) == (m.read.Err == nil) {
		return
	}
	l.last = &m.read
	if l.asked {
		w.answer(w.subscriber, l.last)
	}
}

// Attributes returns what the poller's own queue says of itself; zero until
// that was read, or where it may not be read. It may be called from any
// goroutine.
func (p *Poller) Attributes() QueueAttributes {
	if a := p.attributes.Load(); a != nil {
		return *a
	}
	return QueueAttributes{}
}
