package chassistest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

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
		var err error
		left, err = s.left()
		return left == "" && err == nil, err
	}); err != nil {
		s.t.Fatalf("chassistest: RunUntilIdle: %v; left: %s", err, left)
	}
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
		s.t.Fatalf("chassistest: WaitFor %q of task %q: %v; it is: %s", kind, execID, err, s.tell(s.Outcome(execID)))
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

// wait asks done after each event, of which it gives the new ones, until it
// says yes.
func (s *System) wait(done func([]*dispatcher.Event) (bool, error)) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), s.limit)
	defer cancel()
	for seen := 0; ; {
		events, changed := s.rec.since(seen)
		seen += len(events)
		if yes, err := done(events); yes || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if s.t.Context().Err() == nil {
				return fmt.Errorf("not within %v", s.limit)
			}
			return ctx.Err()
		}
	}
}

// left says what there still is to do, or nothing.
func (s *System) left() (string, error) {
	st := s.Tasks().Stats()
	idle := st.Running+st.Held+st.Queued+st.Settling == 0
	var left []string
	for _, p := range s.Pools() {
		visible, flying, delayed, err := s.count(s.t.Context(), p.Name())
		if err != nil {
			return "", err
		}
		if visible+flying+delayed > 0 || !idle {
			left = append(left, fmt.Sprintf("on queue %q %d visible, %d in flight or hidden, %d delayed", p.Name(), visible, flying, delayed))
		}
	}
	if len(left) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%s; in the system %d running, %d waiting, %d settling", strings.Join(left, "; "), st.Running, st.Held+st.Queued, st.Settling), nil
}

// count asks the embedded queue, whose numbers are exact.
func (s *System) count(ctx context.Context, pool string) (visible, flying, delayed int, err error) {
	var missing *types.QueueDoesNotExist
	url, err := s.client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &pool})
	if errors.As(err, &missing) {
		return 0, 0, 0, nil
	}
	if err != nil {
		return 0, 0, 0, err
	}
	out, err := s.client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{"All"}})
	if err != nil {
		return 0, 0, 0, err
	}
	number := func(name types.QueueAttributeName) int {
		n, convErr := strconv.Atoi(out.Attributes[string(name)])
		err = errors.Join(err, convErr)
		return n
	}
	return number(types.QueueAttributeNameApproximateNumberOfMessages), number(types.QueueAttributeNameApproximateNumberOfMessagesNotVisible),
		number(types.QueueAttributeNameApproximateNumberOfMessagesDelayed), err
}
