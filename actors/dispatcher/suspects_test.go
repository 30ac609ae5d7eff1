package dispatcher

import (
	"testing"
	"time"
)

func TestSilentEndsAreBoundedByTheTimeThatPassed(t *testing.T) {
	const lease, other = 120 * time.Second, 10 * time.Second
	cases := []struct {
		name     string
		receives int
		age      time.Duration
		lease    time.Duration
		want     int
	}{
		{"the first delivery", 1, 0, lease, 0},
		{"the first delivery, to a process that was asleep", 1, time.Hour, lease, 0},
		{"no receive count at all", 0, 0, lease, 0},
		{"one crash", 2, lease, lease, 1},
		{"one crash, seen a little early", 2, lease - 10*time.Second, lease, 1},
		{"one crash, picked up an hour later", 2, time.Hour, lease, 1},
		{"three crashes", 4, 3 * lease, lease, 3},
		{"a release at once", 2, 0, lease, 0},
		{"ten releases at once", 11, 5 * time.Second, lease, 0},
		{"postponed by a Python consumer", 2, other, lease, 0},
		{"postponed by a Python consumer for nine minutes", 50, 49*other + 49*time.Second, lease, 0},
		{"postponed three times, then a crash", 5, 3*other + lease, lease, 1},
		{"a crash after nine minutes of postponements", 46, 44*other + lease, lease, 1},
		{"a lease that is not known", 4, 0, 0, 3},
		{"a lease shorter than the postponements", 3, 10 * time.Second, 4 * time.Second, 2},
		{"the clock went back", 3, -time.Hour, lease, 0},
		{"as fast as the queue gives it, for ever", 54, time.Second, lease, 3},
		{"an absurd count", 1 << 40, time.Hour, lease, 1<<40 - 1 - manyReceives},
	}
	for _, c := range cases {
		if got := (deliveries{receives: c.receives, age: c.age, lease: c.lease, other: other}).silentEnds(); got != c.want {
			t.Errorf("%s: %d silent ends, want %d", c.name, got, c.want)
		}
	}
}

func TestTheFirstSilentEndMakesNoSuspect(t *testing.T) {
	for silent, want := range []bool{false, false, true, true} {
		if got := (ledger{silent: silent, max: 1}).suspect(); got != want {
			t.Errorf("%d silent ends: suspect %v", silent, got)
		}
	}
}

func TestSuspectsComeAgainAtAboutTheirTurn(t *testing.T) {
	var s isolation
	for i, want := range []time.Duration{5 * time.Second, 10 * time.Second} {
		if got := s.pause(); got != want {
			t.Errorf("the pause of suspect %d is %v before any has ended, want %v", i, got, want)
		}
	}
	s.ended(2 * time.Minute)
	for i, want := range []time.Duration{2 * time.Minute, 4 * time.Minute} {
		if got := s.pause(); got != want {
			t.Errorf("the pause of suspect %d is %v, want %v", i, got, want)
		}
	}
	for range 10_000 {
		if got := s.pause(); got < 0 || got > maxDelay {
			t.Fatalf("a pause of %v", got)
		}
	}
	s.ended(0)
	if got := s.pause(); got != 5*time.Second {
		t.Errorf("a pause of %v after a suspect that ended at once", got)
	}
}
