package skew

import (
	"testing"
	"time"
)

func TestClockFollowsTheLater(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		name                       string
		elapsed, wall, known, want time.Duration
	}{
		{"both go on", 100 * s, 100 * s, 0, 0},
		{"adjusted by less than a second", 100 * s, 101 * s, 0, 0},
		{"asleep for a minute", 100 * s, 160 * s, 0, 60 * s},
		{"the same sleep again", 200 * s, 260 * s, 60 * s, 0},
		{"a second sleep", 200 * s, 300 * s, 60 * s, 40 * s},
		{"set back", 200 * s, 100 * s, 0, -100 * s},
		{"a sleep after that", 300 * s, 260 * s, -100 * s, 60 * s},
	} {
		if got := leap(c.elapsed, c.wall, c.known); got != c.want {
			t.Errorf("%s: a leap of %v, want %v", c.name, got, c.want)
		}
	}
}

// A machine that was set back by an hour overlooked every sleep of less than that:
// leases that had ended were used on (like agentruntimecontrolprotocol/swift-sdk#80).
func TestASleepWasOverlookedOnceTheWallClockWasSetBack(t *testing.T) {
	c, elapsed, wall := NewClock(), time.Duration(0), time.Duration(0)
	c.read = func() (time.Duration, time.Duration) { return elapsed, wall }
	before := c.Now()
	wall -= time.Hour
	if d := c.Now().Sub(before); d != 0 {
		t.Errorf("set back, the clock goes by %v", d)
	}
	wall += 10 * time.Minute
	if d := c.Now().Sub(before); d != 10*time.Minute {
		t.Errorf("after a sleep of ten minutes the clock has gone on by %v", d)
	}
}

// Steps of two seconds to and fro, every hour of a day, cost a lease two seconds
// each at most, and it is extended long before that matters.
func TestStepsOfTheWallClockMoveTheClockByThemselvesAtMost(t *testing.T) {
	c, elapsed, wall := NewClock(), time.Duration(0), time.Duration(0)
	c.read = func() (time.Duration, time.Duration) { return elapsed, wall }
	last := c.Now()
	for hour := range 24 {
		elapsed, wall = elapsed+time.Hour, wall+time.Hour+time.Duration(2-hour%2*4)*time.Second
		now := c.Now()
		if d := now.Sub(last); d < time.Hour || d > time.Hour+2*time.Second {
			t.Errorf("hour %d took %v", hour, d)
		}
		last = now
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	const s = time.Second
	var elapsed, wall time.Duration
	c := NewClock()
	c.read = func() (time.Duration, time.Duration) { return elapsed, wall }
	last := c.Now()
	for _, step := range []struct{ elapsed, wall, want time.Duration }{
		{s, s, s},
		{s, 71 * s, 71 * s}, // slept for 70 s
		{s, s, s},
		{s, -100 * s, s},      // set back
		{s, 101 * s, 101 * s}, // set right, or asleep: it cannot be known which
	} {
		elapsed, wall = elapsed+step.elapsed, wall+step.wall
		now := c.Now()
		if got := now.Sub(last); got != step.want {
			t.Errorf("after %+v it has gone on by %v", step, got)
		}
		last = now
	}
}

func TestClockFollowsThoughAnotherGoroutineHasFollowedLess(t *testing.T) {
	const s = time.Second
	c := NewClock()
	c.read = func() (time.Duration, time.Duration) {
		if c.offset.CompareAndSwap(0, int64(10*s)) { // another read the clocks before the machine slept on
			c.slept.Add(int64(10 * s))
		}
		return 100 * s, 170 * s
	}
	if got := c.Now().Sub(c.began); got != 170*s {
		t.Errorf("the time is %v after the beginning, want 170s", got)
	}
}

// A service's time is measured against the clock, and read by those who look at the wall.
func TestHowFarTheClockIsAheadOfTheWall(t *testing.T) {
	var elapsed, wall time.Duration
	c := ClockOf(time.Now(), func() (time.Duration, time.Duration) { return elapsed, wall })
	for _, step := range []struct{ elapsed, wall, want time.Duration }{
		{time.Hour, time.Hour, 0},
		{time.Second, time.Second - time.Minute, time.Minute},                       // set back
		{time.Second, time.Second + 10*time.Minute, time.Minute},                    // asleep
		{time.Second, time.Second + 200*time.Millisecond, 59800 * time.Millisecond}, // corrected
	} {
		elapsed, wall = elapsed+step.elapsed, wall+step.wall
		if got := c.AheadOfWall(); got != step.want {
			t.Errorf("after %+v it is ahead by %v", step, got)
		}
	}
	if c.Slept() != 10*time.Minute {
		t.Errorf("slept for %v", c.Slept())
	}
}
