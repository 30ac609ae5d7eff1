package dispatcher

import (
	"encoding/json"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// EventKind names what happened to a message or an execution.
type EventKind string

// The kinds of [Event].
const (
	Received      EventKind = "received"      // a message was delivered to the dispatcher
	Started       EventKind = "started"       // an attempt began
	Succeeded     EventKind = "succeeded"     // an attempt ended well: the message will be deleted
	AttemptFailed EventKind = "failed"        // an attempt ended with a failure
	Interrupted   EventKind = "interrupted"   // an attempt ended without a failure: snoozed, refused by a breaker, drained
	Held          EventKind = "held"          // the message waits in place
	GivenBack     EventKind = "given_back"    // hidden, or sent again as a fresh copy
	Postponed     EventKind = "postponed"     // its time has not come
	GivenUp       EventKind = "given_up"      // on_fail or dead letter
	Abandoned     EventKind = "abandoned"     // the handler ignored its cancelled ctx
	LostLease     EventKind = "lost_lease"    // another process may get the message
	SettledWell   EventKind = "settled"       // the queue has acknowledged
	SettleFailed  EventKind = "settle_failed" // the queue has not
	Unrecognised  EventKind = "unrecognised"  // unknown task name
	Stalled       EventKind = "stalled"       // an attempt does not move: a silent task actor, or a handler without an end
)

// Event is one thing that happened. Immutable.
type Event struct {
	At        time.Time     `json:"at"`
	Kind      EventKind     `json:"kind"`
	Pool      string        `json:"pool"`
	MessageID string        `json:"message_id"`
	Task      string        `json:"task"`
	ExecID    string        `json:"exec_id"`
	JobID     string        `json:"job_id"`
	JobName   string        `json:"job_name"`
	Attempt   int           `json:"attempt"`
	Failures  int           `json:"failures"`
	Wait      time.Duration `json:"-"`                // until the next attempt; in JSON wait_seconds
	Took      time.Duration `json:"-"`                // of the attempt; in JSON took_seconds
	Reason    string        `json:"reason,omitempty"` // how it was given back, or why given up
	Error     string        `json:"error,omitempty"`
	Missed    uint64        `json:"missed,omitempty"` // events dropped before this one, for a subscriber without credits
}

// LogValue implements slog.LogValuer.
func (e *Event) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", string(e.Kind)), slog.String("task", e.Task),
		slog.String("exec_id", e.ExecID), slog.Int("attempt", e.Attempt), slog.Int("failures", e.Failures),
		slog.String("reason", e.Reason), slog.String("error", e.Error))
}

// MarshalJSON implements json.Marshaler.
func (e Event) MarshalJSON() ([]byte, error) {
	type fields Event
	return json.Marshal(struct {
		fields
		Wait float64 `json:"wait_seconds,omitempty"`
		Took float64 `json:"took_seconds,omitempty"`
	}{fields(e), e.Wait.Seconds(), e.Took.Seconds()})
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
