package chassistest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
)

// RunUntilIdle starts the system, if it has not been, and returns when the
// queues of its pools hold nothing any more, neither to be run nor hidden for
// later, and all that was run is settled. What tasks send to these pools is
// waited for too, what they send to others is not. It ends the test when that
// takes longer than [Limit].
func (s *System) RunUntilIdle() {
	s.t.Helper()
	s.start()
	left := ""
	if err := s.wait(func([]*dispatcher.Event) (bool, error) {
		left = s.left()
		return left == "", nil
	}); err != nil {
		s.t.Fatalf("chassistest: RunUntilIdle: %v; left: %s", err, left)
	}
	// The dispatchers may have had events to report when their numbers said that
	// nothing is left. They have reported them once they answer.
	if control := s.Control(); control != nil {
		ctx, cancel := context.WithTimeout(s.t.Context(), s.patience())
		defer cancel()
		if _, err := control.Inspect(ctx, "", 1); err != nil {
			s.t.Fatalf("chassistest: RunUntilIdle: %v", err)
		}
	}
	s.rec.catchUp()
}

// WaitFor starts the system, if it has not been, and returns the first event of
// a kind about the task execID, or about any if it is empty. An event that has
// happened before counts: so no event is missed. It ends the test when that
// takes longer than [Limit].
func (s *System) WaitFor(execID string, kind dispatcher.EventKind) *dispatcher.Event {
	s.t.Helper()
	s.start()
	var found *dispatcher.Event
	if err := s.wait(func(events []*dispatcher.Event) (bool, error) {
		for _, e := range events {
			if e.Kind == kind && (execID == "" || e.ExecID == execID) {
				found = e
				return true, nil
			}
		}
		return false, nil
	}); err != nil {
		s.t.Fatalf("chassistest: WaitFor %q of task %q: %v; it is: %s",
			kind, execID, err, s.describe(s.Outcome(execID)))
	}
	return found
}

func (s *System) start() {
	s.t.Helper()
	switch err := s.Start(s.t.Context()); {
	case err == nil, errors.Is(err, chassis.ErrStarted):
	default:
		s.t.Fatalf("chassistest: start: %v", err)
	}
}

// wait asks done after each event, and once in a while, until it says yes; it
// gives it the events since the last time. A message can leave its queue without an
// event of this system: when its retention ends, or another receiver deletes it.
func (s *System) wait(done func([]*dispatcher.Event) (bool, error)) error {
	limit := s.patience()
	ctx, cancel := context.WithTimeout(s.t.Context(), limit)
	defer cancel()
	again := time.NewTicker(receiveWait(s.simulated))
	defer again.Stop()
	for seen := 0; ; {
		events, changed := s.rec.since(seen)
		seen += len(events)
		if yes, err := done(events); yes || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-again.C:
		case <-ctx.Done():
			if s.t.Context().Err() == nil {
				return fmt.Errorf("not within %v", limit)
			}
			return ctx.Err()
		}
	}
}

// patience is how long to wait. In real time that ends before go test ends the
// process and shows nothing but its goroutines.
func (s *System) patience() time.Duration {
	t, ok := s.t.(interface{ Deadline() (time.Time, bool) })
	if !ok || s.simulated { // where Deadline must not be called
		return s.limit
	}
	if at, ok := t.Deadline(); ok {
		return min(s.limit, time.Until(at)*9/10)
	}
	return s.limit
}

// left says what there still is to do, or nothing. The queues are looked at
// first, and all at one time: what is on none of them then is at most being
// settled.
func (s *System) left() string {
	queues := s.Queue.Stats().Queues
	var left []string
	for _, p := range s.Pools() {
		for _, q := range queues {
			if q.Name == p.Name() && q.Visible+q.InFlight+q.Delayed > 0 {
				left = append(left, fmt.Sprintf("on queue %q %d visible, %d in flight or hidden, %d delayed",
					q.Name, q.Visible, q.InFlight, q.Delayed))
			}
		}
	}
	if st := s.Tasks().Stats(); len(left) > 0 || st.Running+st.Held+st.Queued+st.Settling > 0 {
		left = append(left, fmt.Sprintf("in the system %d running, %d waiting, %d settling",
			st.Running, st.Held+st.Queued, st.Settling))
	}
	return strings.Join(left, "; ")
}
