package localsqs

import "time"

type wallClock struct{}

func (wallClock) Now() time.Time { return time.Now() }

func (wallClock) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }

// clock gives the engine's time: nanoseconds of the Unix epoch that go on
// monotonically from when the server began, whatever is done to the wall clock.
type clock struct {
	source TimeSource
	began  time.Time
	base   int64
}

func newClock(ts TimeSource) clock {
	began := ts.Now()
	return clock{source: ts, began: began, base: began.UnixNano()}
}

func (c *clock) now() int64 { return c.base + int64(c.source.Now().Sub(c.began)) }
