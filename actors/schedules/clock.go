package schedules

import (
	"sync"
	"time"
)

// clock is the time of the queue service, by the Date of its answers. A Date has whole
// seconds: each answer bounds how far the service is ahead of us, and several bound it
// closer.
type clock struct {
	local func() time.Time

	mu        sync.Mutex // guards what follows
	known     bool
	low, high time.Duration // the service is ahead by that much; negative: behind
	at        time.Time     // of the last answer, by our clock
}

// driftOf is how far two clocks may part in a time: more than any quartz does.
func driftOf(d time.Duration) time.Duration { return d.Abs() / 1000 }

// now returns the service's time. Our own stands where the answers allow that it is right.
func (c *clock) now() time.Time { return c.local().Add(c.ahead()).Round(0) }

func (c *clock) ahead() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.known || c.low <= 0 && c.high >= 0 {
		return 0
	}
	return c.low + (c.high-c.low)/2
}

// answered takes note of an answer of the service with that Date, to a request that was
// sent at begun and answered at ended, by our clock.
func (c *clock) answered(date, begun, ended time.Time) {
	if date.IsZero() || ended.Before(begun) {
		return
	}
	// Without the monotonic clock: it does not leap with the wall clock.
	begun, ended = begun.Round(0), ended.Round(0)
	low, high := date.Sub(ended), date.Add(time.Second).Sub(begun)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known {
		drift := driftOf(ended.Sub(c.at))
		if l, h := max(low, c.low-drift), min(high, c.high+drift); l <= h {
			low, high = l, h // else our clock was set meanwhile
		}
	}
	c.known, c.low, c.high, c.at = true, low, high, ended
}
