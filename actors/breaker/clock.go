package breaker

import (
	"sync/atomic"
	"time"
)

// clock gives a breaker's time, ns since it was made, which never goes back. It
// follows the monotonic clock, and the wall clock where that is ahead: the
// monotonic one stands still while a machine sleeps, and an open time must not.
type clock struct {
	base  time.Time
	wall  int64        // base by the wall clock, ns of the Unix epoch
	slept atomic.Int64 // ns that the monotonic clock stood still
}

func (c *clock) start() {
	c.base = time.Now()
	c.wall = c.base.UnixNano()
}

// now is the time without a look at the wall clock.
func (c *clock) now() int64 { return int64(time.Since(c.base)) + c.slept.Load() }

// look compares the two clocks and returns the later time.
func (c *clock) look() int64 {
	t := time.Now()
	elapsed := int64(t.Sub(c.base))
	for {
		slept := c.slept.Load()
		ahead := follow(elapsed, t.UnixNano()-c.wall, slept)
		if ahead == slept || c.slept.CompareAndSwap(slept, ahead) {
			return elapsed + ahead
		}
	}
}

// slack is how far the wall clock may be ahead before it is followed, ns: it is
// set forth and back by less all the time.
const slack = int64(time.Second)

// follow returns how long the monotonic clock has stood still, given what either
// clock says has passed, and what was known before, ns.
func follow(elapsed, wall, slept int64) int64 {
	if wall-elapsed-slept > slack {
		return wall - elapsed
	}
	return slept
}

// The actor looks at the clock again after a part of a wait, lookShare, but not
// more often than once a minLook. So an open time ends within a second
// after a machine has slept, for open times of up to five minutes.
const (
	minLook   = time.Second
	lookShare = 300
)

// untilLook returns how long a timer may run before the next look, for a wait.
func untilLook(wait time.Duration) time.Duration {
	return min(wait, max(minLook, wait/lookShare))
}
