package life

import (
	"testing"
	"time"
)

func TestStagesOfACutStopShareTheirTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		since, want time.Duration
	}{{0, 5 * time.Second}, {2 * time.Second, 3 * time.Second}, {time.Minute, hurry}} {
		cut := now.Add(-c.since)
		if got := stageLimit(&cut, now); got != c.want {
			t.Errorf("%v after the cut: %v, want %v", c.since, got, c.want)
		}
	}
	if got := stageLimit(nil, now); got != StopTimeout {
		t.Errorf("not cut: %v", got)
	}
}
