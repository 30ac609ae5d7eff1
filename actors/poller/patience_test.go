package poller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
	"time"
)

// TestUnansweredReceivesGetShorterAndLongerAgain: behind something that
// forgets a connection after 8 s of silence.
func TestUnansweredReceivesGetShorterAndLongerAgain(t *testing.T) {
	p := newPatience(20 * time.Second)
	now := time.Unix(0, 0)
	steps := []struct {
		after time.Duration // since the step before
		lost  bool
		want  time.Duration
	}{
		{0, false, 20 * time.Second},
		{time.Second, true, 10 * time.Second},
		{time.Second, true, 5 * time.Second},
		{time.Second, false, 5 * time.Second},
		{59 * time.Minute, false, 5 * time.Second},
		{time.Minute, false, 10 * time.Second}, // quiet for an hour
		{time.Second, true, 5 * time.Second},
		{90 * time.Minute, false, 5 * time.Second}, // it must be quiet for two now
		{30 * time.Minute, false, 10 * time.Second},
		{4 * time.Hour, false, 20 * time.Second},
		{24 * time.Hour, false, 20 * time.Second},
	}
	for i, s := range steps {
		now = now.Add(s.after)
		before := p.wait
		change := p.answered
		if s.lost {
			change = func(now time.Time) bool { return p.unanswered(now, before) }
		}
		changed := change(now)
		if p.wait != s.want || changed != (p.wait != before) { // a change is logged
			t.Fatalf("step %d: the wait is %v (changed: %v), want %v", i, p.wait, changed, s.want)
		}
	}
}

// TestAnOutageDoesNotShortenReceivesForGood: if the shortest is not answered
// either, the wait is not to blame.
func TestAnOutageDoesNotShortenReceivesForGood(t *testing.T) {
	p := newPatience(20 * time.Second)
	now := time.Unix(0, 0)
	for _, want := range []time.Duration{10, 5, 2, 1, 20, 10} {
		shorter := p.unanswered(now, p.wait)
		if p.wait != want*time.Second || shorter != (want < 20) {
			t.Fatalf("the wait is %v (shorter: %v), want %v s", p.wait, shorter, int(want))
		}
	}
	if p.unanswered(now, 20*time.Second) {
		t.Error("a receive that began with an earlier wait changed it")
	}
}

func TestIsUnanswered(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want bool
	}{
		{"nothing", nil, false},
		{"our own deadline", fmt.Errorf("receive: %w", context.DeadlineExceeded), true},
		{"a timeout of the network", &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, true},
		{"a connection that is reset", &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, false},
		{"a stop of ours", context.Canceled, false},
	} {
		if got := isUnanswered(c.err); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
