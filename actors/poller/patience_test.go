package poller

import (
	"testing"
	"time"
)

// TestReceivesThatNobodyAnswersGetShorterAndLongerAgain: behind something that
// forgets a connection after 8 s of silence.
func TestReceivesThatNobodyAnswersGetShorterAndLongerAgain(t *testing.T) {
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
		if s.lost {
			p.unanswered(now, p.wait)
		} else {
			p.answered(now)
		}
		if p.wait != s.want {
			t.Fatalf("step %d: the wait is %v, want %v", i, p.wait, s.want)
		}
	}
}

// TestAnOutageDoesNotShortenReceivesForGood: if the shortest is not answered
// either, the wait is not to blame.
func TestAnOutageDoesNotShortenReceivesForGood(t *testing.T) {
	p := newPatience(20 * time.Second)
	now := time.Unix(0, 0)
	for _, want := range []time.Duration{10, 5, 2, 1, 20, 10} {
		p.unanswered(now, p.wait)
		if p.wait != want*time.Second {
			t.Fatalf("the wait is %v, want %v s", p.wait, int(want))
		}
	}
	if p.unanswered(now, 20*time.Second) {
		t.Error("a receive that began with an earlier wait changed it")
	}
}
