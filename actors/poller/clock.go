package poller

import (
	"sync/atomic"
	"time"
)

// clock is the time of leases. It follows the monotonic clock, and the wall
// clock where that leaps ahead: the monotonic clock stands still while a machine
// sleeps (golang/go#24595), the queue's time does not. It never goes back.
//
// Its times have no monotonic reading: compare them with one another only.
type clock struct {
	began  time.Time                            // without a monotonic reading
	read   func() (elapsed, wall time.Duration) // since began, of the two clocks
	offset atomic.Int64                         // nanoseconds that the wall clock was ahead when it leapt last
	slept  atomic.Int64                         // nanoseconds of all leaps ahead
}

// clockSlack is how far the wall clock may leap before it is followed. It is
// adjusted by less all the time.
const clockSlack = time.Second

func newClock() *clock {
	began := time.Now()
	return &clock{began: began.Round(0), read: func() (elapsed, wall time.Duration) {
		now := time.Now()
		return now.Sub(began), now.Round(0).Sub(began.Round(0))
	}}
}

// now may be called from any goroutine. The offset is read before the clocks, for
// a reading must not be older than what it is compared with.
func (c *clock) now() time.Time {
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
	if d := wall - elapsed - known; d.Abs() > clockSlack {
		return d
	}
	return 0
}
