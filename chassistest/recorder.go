package chassistest

import (
	"slices"
	"sync"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
)

// State says how far a task is.
type State string

// The states of an [Outcome].
const (
	Unseen    State = "unseen"    // the system has not received it: it waits on the queue, or went to another pool
	Pending   State = "pending"   // received, and not at its end
	Succeeded State = "succeeded" // done, and deleted from the queue
	GivenUp   State = "given up"  // its on_fail task was sent, or it is a dead letter
	Cancelled State = "cancelled" // deleted by System.Cancel, without a dead letter
)

// Outcome is what has happened to one task, over all its deliveries.
type Outcome struct {
	Task   string
	ExecID string
	State  State

	Started  []time.Time // the beginning of each attempt
	Ended    time.Time   // when the queue acknowledged the end; zero before
	Failures int         // that count against the task's max failures
	Errors   []string    // of the attempts that failed, in order
	Reason   string      // of GivenUp and Cancelled, one of task.Reason…
}

// recorder keeps all events of a dispatcher.
type recorder struct {
	sub   *dispatcher.Subscription
	asked chan chan struct{} // answered once all that has come is recorded
	done  chan struct{}

	mu      sync.Mutex
	events  []*dispatcher.Event
	changed chan struct{} // closed and replaced at each event
}

// buffered is how many events may happen while the recorder has not had its
// turn; it does nothing but append.
const buffered = 1 << 16

func record(m *dispatcher.Monitor) *recorder {
	r := &recorder{
		sub: m.Events(buffered), asked: make(chan chan struct{}),
		done: make(chan struct{}), changed: make(chan struct{}),
	}
	go r.run()
	return r
}

func (r *recorder) run() {
	defer close(r.done)
	for {
		select {
		case e, ok := <-r.sub.C:
			if !ok {
				return
			}
			r.add(e)
		case caughtUp := <-r.asked:
			for range len(r.sub.C) {
				r.add(<-r.sub.C)
			}
			close(caughtUp)
		}
	}
}

func (r *recorder) add(e *dispatcher.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
}

// catchUp returns when every event that was emitted before is recorded.
func (r *recorder) catchUp() {
	caughtUp := make(chan struct{})
	select {
	case r.asked <- caughtUp:
		<-caughtUp
	case <-r.done:
	}
}

// close ends the recording and returns how many events it missed.
func (r *recorder) close() (lost uint64) {
	r.sub.Close()
	<-r.done
	return r.sub.Dropped()
}

// since returns the events from number n on, and what is closed at the next.
func (r *recorder) since(n int) ([]*dispatcher.Event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.events[n:len(r.events):len(r.events)], r.changed
}

// Events returns everything that has happened to the system's tasks, in order.
func (s *System) Events() []*dispatcher.Event {
	events, _ := s.rec.since(0)
	return slices.Clone(events)
}

// Outcome says what has become of the task that was sent as execID.
func (s *System) Outcome(execID string) Outcome {
	for _, o := range s.Outcomes() {
		if o.ExecID == execID {
			return o
		}
	}
	return Outcome{ExecID: execID, State: Unseen}
}

// Outcomes lists all tasks that the system has received, in the order in which
// they first came, those that it was sent by on_fail among them.
func (s *System) Outcomes() []Outcome {
	events, _ := s.rec.since(0)
	var all []*Outcome
	byID := map[string]*Outcome{}
	ending := map[string]State{}
	for _, e := range events {
		o := byID[e.ExecID]
		if o == nil {
			o = &Outcome{ExecID: e.ExecID}
			byID[e.ExecID] = o
			all = append(all, o)
		}
		o.Task, o.Failures = e.Task, e.Failures
		switch e.Kind {
		case dispatcher.Received: // for the first time, as a fresh copy, or sent back from the dead letters
			o.State, o.Reason, o.Ended = Pending, "", time.Time{}
			delete(ending, e.ExecID)
		case dispatcher.Started:
			o.Started = append(o.Started, e.At)
		case dispatcher.AttemptFailed:
			o.Errors = append(o.Errors, e.Error)
		case dispatcher.Succeeded:
			ending[e.ExecID] = Succeeded
		case dispatcher.GivenUp:
			ending[e.ExecID], o.Reason = GivenUp, e.Reason
		case dispatcher.Cancelled:
			ending[e.ExecID], o.Reason = Cancelled, e.Reason
		case dispatcher.SettledWell:
			if state, ok := ending[e.ExecID]; ok {
				o.State, o.Ended = state, e.At
			}
		}
	}
	outcomes := make([]Outcome, len(all))
	for i, o := range all {
		outcomes[i] = *o
	}
	return outcomes
}
