package skew

import (
	"sync/atomic"
	"time"
)

// Clock is the time of this process. It follows the monotonic clock, and the wall
// clock where that leaps ahead: the monotonic clock stands still while a machine
// sleeps (golang/go#24595), the time of others does not. It never goes back.
//
// Its times have no monotonic reading: compare them with one another only.
type Clock struct {
	began  time.Time                            // without a monotonic reading
	read   func() (elapsed, wall time.Duration) // since began, of the two clocks
	offset atomic.Int64                         // nanoseconds that the wall clock was ahead when it leapt last
	slept  atomic.Int64                         // nanoseconds of all leaps ahead
}

// slack is how far the wall clock may leap before it is followed. It is
// adjusted by less all the time.
const slack = time.Second

// NewClock returns the clock of this process, which begins with the wall clock.
func NewClock() *Clock {
	began := time.Now()
	return ClockOf(began, func() (elapsed, wall time.Duration) {
		now := time.Now()
		return now.Sub(began), now.Round(0).Sub(began.Round(0))
	})
}

// ClockOf returns a clock that begins at began. read returns how far the monotonic and the
// wall clock have gone on since.
func ClockOf(began time.Time, read func() (elapsed, wall time.Duration)) *Clock {
	return &Clock{began: began.Round(0), read: read}
}

// Slept returns the sum of all leaps ahead: for so long the machine slept, or by so much
// its wall clock was set. What is measured against this clock is to be measured again.
func (c *Clock) Slept() time.Duration { return time.Duration(c.slept.Load()) }

// AheadOfWall returns how far this clock is ahead of the wall clock: by what that was set
// back, and up to a second else.
func (c *Clock) AheadOfWall() time.Duration {
	now := c.Now()
	_, wall := c.read()
	return now.Sub(c.began.Add(wall))
}

// Now may be called from any goroutine. The offset is read before the clocks, for
// a reading must not be older than what it is compared with.
func (c *Clock) Now() time.Time {
	for {
		known := c.offset.Load()
		elapsed, wall := c.read()
		leapt := leap(elapsed, wall, time.Duration(known))
		if leapt != 0 && !c.offset.CompareAndSwap(known, known+int64(leapt)) {
			continue
		}
		return c.began.Add(elapsed + time.Duration(c.slept.Add(int64(max(leapt, 0)))))
	}
}

// leap returns how far the wall clock has left its known offset to the monotonic
// one, or 0 if that is within the slack. It is negative when the clock was set
// back, which is no sleep; a sleep after that is one from there.
func leap(elapsed, wall, known time.Duration) time.Duration {
	if d := wall - elapsed - known; d.Abs() > slack {
		return d
	}
	return 0
}
