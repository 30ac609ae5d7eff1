package breaker

import (
	"sync/atomic"
	"time"
)

// clock gives a breaker's time, ns since it was made, which never goes back. It
// follows the monotonic clock, and the wall clock where that leaps ahead: the
// monotonic one stands still while a machine sleeps, and an open time must not.
type clock struct {
	base   time.Time
	wall   int64        // base by the wall clock, ns of the Unix epoch
	offset atomic.Int64 // ns that the wall clock was ahead when it leapt last
	slept  atomic.Int64 // ns that the monotonic clock stood still
}

func (c *clock) start() {
	c.base = time.Now()
	c.wall = c.base.UnixNano()
}

// now is the time without a look at the wall clock.
func (c *clock) now() int64 { return int64(time.Since(c.base)) + c.slept.Load() }

// look compares the two clocks and returns the time. The offset is read before
// the clocks, for a reading must not be older than what it is compared with.
func (c *clock) look() int64 {
	for {
		known := c.offset.Load()
		t := time.Now()
		elapsed := int64(t.Sub(c.base))
		offset, slept := follow(elapsed, t.UnixNano()-c.wall, known)
		if offset == known {
			return elapsed + c.slept.Load()
		}
		if c.offset.CompareAndSwap(known, offset) {
			return elapsed + c.slept.Add(slept)
		}
	}
}

// slack is how far the wall clock may leap before it is followed, ns: it is
// set forth and back by less all the time.
const slack = int64(time.Second)

// follow returns the wall clock's offset, given what either clock says has
// passed and the offset known before, and how long the monotonic clock has stood
// still meanwhile, ns. A wall clock that is set back is no sleep; a sleep after
// that is one from there.
func follow(elapsed, wall, known int64) (offset, slept int64) {
	switch leap := wall - elapsed - known; {
	case leap > slack:
		return known + leap, leap
	case leap < -slack:
		return known + leap, 0
	}
	return known, 0
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
