package chassistest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/sambatech/chassis"
)

// AssertSucceeded fails the test unless each of the tasks is done and deleted
// from the queue.
func (s *System) AssertSucceeded(execIDs ...string) {
	s.t.Helper()
	for _, id := range execIDs {
		if o := s.Outcome(id); o.State != Succeeded {
			s.t.Errorf("task %s has not succeeded: %s", id, s.describe(o))
		}
	}
}

// AssertGivenUp fails the test unless the task was given up for a reason, one
// of task.Reason…
func (s *System) AssertGivenUp(execID, reason string) {
	s.t.Helper()
	if o := s.Outcome(execID); o.State != GivenUp || o.Reason != reason {
		s.t.Errorf("task %s was not given up as %s: %s", execID, reason, s.describe(o))
	}
}

// AssertAttempts fails the test unless the task was begun n times.
func (s *System) AssertAttempts(execID string, n int) {
	s.t.Helper()
	if o := s.Outcome(execID); len(o.Started) != n {
		s.t.Errorf("task %s was begun %d times, not %d: %s", execID, len(o.Started), n, s.describe(o))
	}
}

// AssertDead fails the test unless the task is among the dead letters, for a
// reason, and returns it.
func (s *System) AssertDead(execID, reason string) *chassis.DeadLetter {
	s.t.Helper()
	letters := s.Dead()
	for _, d := range letters {
		if d.ExecID == execID && d.Reason == reason {
			return d
		}
	}
	s.t.Errorf("task %s is not among the dead letters as %s; those are: %s; the task: %s",
		execID, reason, list(letters), s.describe(s.Outcome(execID)))
	return nil
}

// AssertNoneDead fails the test if there are dead letters.
func (s *System) AssertNoneDead() {
	s.t.Helper()
	if letters := s.Dead(); len(letters) > 0 {
		s.t.Errorf("%d dead letters: %s", len(letters), list(letters))
	}
}

// Dead lists the dead letters of the pool, oldest first. They stay where they
// are, but are hidden from a second look until the first is over; an error
// ends the test.
func (s *System) Dead() []*chassis.DeadLetter {
	s.t.Helper()
	var letters []*chassis.DeadLetter
	for d, err := range s.DeadLetters(s.t.Context()) {
		if err != nil {
			s.t.Fatalf("chassistest: %v", err)
		}
		letters = append(letters, d)
	}
	slices.SortStableFunc(letters, func(a, b *chassis.DeadLetter) int { return a.Sent.Compare(b.Sent) })
	return letters
}

func list(letters []*chassis.DeadLetter) string {
	if len(letters) == 0 {
		return "none"
	}
	var b strings.Builder
	for _, d := range letters {
		fmt.Fprintf(&b, "\n\t%s %s: %s after %d failures, %q", d.Name, d.ExecID, d.Reason, d.Failures, d.LastError)
	}
	return b.String()
}

// describe returns an outcome in words, with the task's events.
func (s *System) describe(o Outcome) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, begun %d times, %d failures", o.State, len(o.Started), o.Failures)
	if o.Reason != "" {
		fmt.Fprintf(&b, ", given up as %s", o.Reason)
	}
	for _, e := range s.Events() {
		if e.ExecID != o.ExecID {
			continue
		}
		fmt.Fprintf(&b, "\n\t%s %s", e.At.Format("2006-01-02 15:04:05.000"), e.Kind)
		if e.Wait > 0 {
			fmt.Fprintf(&b, " for %v", e.Wait)
		}
		if e.Error != "" {
			fmt.Fprintf(&b, ": %s", e.Error)
		}
	}
	return b.String()
}
