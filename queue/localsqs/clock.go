package localsqs

import "time"

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// clock gives the engine's time: nanoseconds of the Unix epoch that never go
// back while the server runs. They follow the monotonic clock, and the wall
// clock where that is ahead: the monotonic one stands still while a machine
// sleeps, and what is sent after days of sleep must not look days old to the
// next server on the file, which would drop it as expired.
type clock struct {
	source TimeSource
	began  time.Time
	base   int64 // the epoch's time when the monotonic clock stood at began
}

func newClock(ts TimeSource) clock {
	began := ts.Now()
	return clock{source: ts, began: began, base: began.UnixNano()}
}

// now must be called under the server's lock.
func (c *clock) now() int64 {
	t := c.source.Now()
	return c.follow(int64(t.Sub(c.began)), t.UnixNano())
}

// slack is how far the wall clock may be ahead before it is followed: it is
// set forth and back by less all the time.
const slack = int64(time.Second)

func (c *clock) follow(elapsed, wall int64) int64 {
	if wall-c.base-elapsed > slack {
		c.base = wall - elapsed
	}
	return c.base + elapsed
}
