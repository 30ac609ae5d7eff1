package poller

import (
	"sync/atomic"
	"time"
)

// clock is the time of leases. It follows the monotonic clock, and the wall
// clock where that is ahead: the monotonic clock stands still while a machine
// sleeps (golang/go#24595), the queue's time does not. It never goes back.
//
// Its times have no monotonic reading: compare them with one another only.
type clock struct {
	began time.Time                            // without a monotonic reading
	read  func() (elapsed, wall time.Duration) // since began, of the two clocks
	slept atomic.Int64                         // nanoseconds by which the wall clock has run ahead
}

// clockSlack is how far the wall clock may be ahead before it is followed. It
// is adjusted by less all the time.
const clockSlack = time.Second

func newClock() *clock {
	began := time.Now()
	return &clock{began: began.Round(0), read: func() (elapsed, wall time.Duration) {
		now := time.Now()
		return now.Sub(began), now.Round(0).Sub(began.Round(0))
	}}
}

// now may be called from any goroutine.
func (c *clock) now() time.Time {
	for {
		slept := c.slept.Load()
		elapsed, wall := c.read()
		if !ahead(elapsed, wall, time.Duration(slept)) {
			return c.began.Add(elapsed + time.Duration(slept))
		}
		c.slept.CompareAndSwap(slept, int64(wall-elapsed)) // if not, another goroutine has done so
	}
}

// ahead reports whether the wall clock has left the monotonic one behind by
// more than is known.
func ahead(elapsed, wall, slept time.Duration) bool { return wall-elapsed-slept > clockSlack }
