package poller

import (
	"testing"
	"time"
)

func TestClockFollowsTheLater(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name                 string
		elapsed, wall, slept time.Duration
		want                 bool
	}{
		{"both go on", 100 * s, 100 * s, 0, false},
		{"adjusted by less than a second", 100 * s, 101 * s, 0, false},
		{"asleep for a minute", 100 * s, 160 * s, 0, true},
		{"the same sleep again", 200 * s, 260 * s, 60 * s, false},
		{"a second sleep", 200 * s, 300 * s, 60 * s, true},
		{"set back", 200 * s, 100 * s, 0, false},
	} {
		if got := ahead(c.elapsed, c.wall, c.slept); got != c.want {
			t.Errorf("%s: the wall clock is followed: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	const s = time.Second
	var elapsed, wall time.Duration
	c := newClock()
	c.read = func() (time.Duration, time.Duration) { return elapsed, wall }
	last := c.now()
	for _, step := range []struct{ elapsed, wall, want time.Duration }{
		{s, s, s},
		{s, 71 * s, 71 * s}, // slept for 70 s
		{s, s, s},
		{s, -100 * s, s}, // set back
		{s, 101 * s, s},  // and right again
	} {
		elapsed, wall = elapsed+step.elapsed, wall+step.wall
		now := c.now()
		if got := now.Sub(last); got != step.want {
			t.Errorf("after %+v it has gone on by %v", step, got)
		}
		last = now
	}
}

func TestClockFollowsThoughAnotherGoroutineHasFollowedLess(t *testing.T) {
	const s = time.Second
	c := newClock()
	c.read = func() (time.Duration, time.Duration) {
		c.slept.CompareAndSwap(0, int64(10*s)) // another read the clocks before the machine slept on
		return 100 * s, 170 * s
	}
	if got := c.now().Sub(c.began); got != 170*s {
		t.Errorf("the time is %v after the beginning, want 170s", got)
	}
}
