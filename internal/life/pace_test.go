package life

import (
	"testing"
	"time"
)

func TestTheFirstRestartsAreAtOnceAndTheOthersWaitLonger(t *testing.T) {
	var s streak
	now := time.Unix(1000, 0)
	for i, want := range []time.Duration{0, 0, 0, 100, 200, 400, 800, 1600, 3000, 3000} {
		if got := ownPace.before(s.add(now)); got != want*time.Millisecond {
			t.Errorf("restart %d waits %v, want %v", i+1, got, want*time.Millisecond)
		}
		now = now.Add(time.Second)
	}
	if got := ownPace.before(s.add(now.Add(2 * time.Minute))); got != 0 {
		t.Errorf("after two calm minutes a restart waits %v", got)
	}
}

func TestPausesGrowToTheirLimit(t *testing.T) {
	for failures, want := range map[int]time.Duration{
		0: 0, 1: 0, 10: 0, 11: 100 * time.Millisecond, 12: 200 * time.Millisecond, 17: 6400 * time.Millisecond, 18: 10 * time.Second, 1000: 10 * time.Second,
	} {
		if got := guestPace.before(failures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}
