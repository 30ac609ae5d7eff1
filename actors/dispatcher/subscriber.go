package dispatcher

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/asynkron/protoactor-go/actor"
)

// defaultCredits is [Subscribe.Credits] unless it is set.
const defaultCredits = 1000

// subscriber is an actor that gets the events as messages.
type subscriber struct {
	to     *actor.PID
	pool   string // of its events
	events *Subscription

	credits int    // events that may be sent yet; guarded by the feed's mutex, as missed is
	missed  uint64 // since the last event that was sent
}

// take returns the copy of e that the subscriber gets, or nil if it has no
// credit. Each subscriber has a copy of its own.
func (s *subscriber) take(e *Event) *Event {
	if s.credits <= 0 {
		s.missed++
		return nil
	}
	s.credits--
	own := *e
	own.Missed, s.missed = s.missed, 0
	return &own
}

// run sends the events, until the subscription is closed. It has a goroutine of
// its own: the subscriber's mailbox may be user's code.
func (s *subscriber) run(system *actor.ActorSystem, dispatcher *actor.PID) {
	process, _ := system.ProcessRegistry.Get(s.to) // one that is gone answers at once
	process.SendSystemMessage(s.to, &actor.Watch{Watcher: dispatcher})
	root := actor.NewRootContext(system, nil)
	for e := range s.events.C {
		root.Send(s.to, e)
	}
	if process, alive := system.ProcessRegistry.Get(s.to); alive {
		process.SendSystemMessage(s.to, &actor.Unwatch{Watcher: dispatcher})
	}
}

func (d *dispatcher) onSubscribe(m *Subscribe) {
	if m.To == nil || m.Credits < 0 {
		respond(d, m.reply, &Controlled{Err: errors.New("subscribe: To is missing, or Credits is negative")})
		return
	}
	n := m.Credits
	if n == 0 {
		n = defaultCredits
	}
	if s := d.subscribers[m.To.Id]; s != nil {
		d.monitor.feed.grant(s, n)
	} else {
		s = &subscriber{to: m.To, pool: d.pool, credits: n}
		s.events = d.monitor.feed.addFor(s, defaultCredits)
		if d.subscribers == nil {
			d.subscribers = map[string]*subscriber{}
		}
		d.subscribers[m.To.Id] = s
		go s.run(d.system, d.self)
	}
	respond(d, m.reply, &Controlled{Found: 1})
}

func (d *dispatcher) onUnsubscribe(m *Unsubscribe) {
	r := &Controlled{Found: 1}
	if m.To == nil || !d.unsubscribe(m.To) {
		r = &Controlled{Err: errors.New("unsubscribe: the actor has no subscription here")}
	}
	respond(d, m.reply, r)
}

// unsubscribe ends the subscription of an actor, and reports whether it had one.
func (d *dispatcher) unsubscribe(pid *actor.PID) bool {
	s := d.subscribers[pid.Id]
	if s == nil {
		return false
	}
	delete(d.subscribers, pid.Id)
	s.events.Close()
	return true
}

// endSubscriptions ends them all.
func (d *dispatcher) endSubscriptions() {
	for _, s := range d.subscribers {
		s.events.Close()
	}
	clear(d.subscribers)
}

// Subscription receives events. The dispatcher never waits for it: what does
// not fit into its buffer is dropped and counted.
type Subscription struct {
	// C delivers the events; closed by Close.
	C <-chan *Event

	c       chan *Event
	dropped atomic.Uint64
	feed    *feed
	actor   *subscriber // nil: it is read by a goroutine
}

// Dropped counts the events that found the buffer full.
func (s *Subscription) Dropped() uint64 { return s.dropped.Load() }

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() { s.feed.remove(s) }

// feed hands events to subscribers; an empty one costs one atomic load.
type feed struct {
	active atomic.Int32
	mu     sync.Mutex // subscribers come and go from other goroutines
	subs   []*Subscription
}

func (f *feed) add(buffer int) *Subscription { return f.addFor(nil, buffer) }

func (f *feed) addFor(a *subscriber, buffer int) *Subscription {
	c := make(chan *Event, max(buffer, 1))
	s := &Subscription{C: c, c: c, feed: f, actor: a}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subs = append(f.subs, s)
	f.active.Add(1)
	return s
}

func (f *feed) remove(s *Subscription) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, other := range f.subs {
		if other == s {
			f.subs = append(f.subs[:i:i], f.subs[i+1:]...)
			f.active.Add(-1)
			close(s.c)
			return
		}
	}
}

// grant gives an actor's subscription credits.
func (f *feed) grant(a *subscriber, credits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	a.credits += credits
}

func (f *feed) emit(e *Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.subs {
		own := e
		if s.actor != nil {
			if s.actor.pool != e.Pool {
				continue
			}
			if own = s.actor.take(e); own == nil {
				s.dropped.Add(1)
				continue
			}
		}
		select {
		case s.c <- own:
		default:
			s.dropped.Add(1)
			if s.actor != nil {
				s.actor.credits++
				s.actor.missed += own.Missed + 1
			}
		}
	}
}
