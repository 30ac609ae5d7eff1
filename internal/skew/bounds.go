package skew

import "time"

// Bounds are how far the clock of a service is ahead of the clock of this process, as the
// times in its answers show. The time was read between the begin and the end of a request,
// and is cut to a precision. The true difference therefore lies between low and high. It is
// immutable; the zero value knows nothing.
//
// low is off by the way of the answer only, if a service answers at once. high is off by the
// length of the request, and of a long poll.
type Bounds struct {
	low, high time.Duration
	at        time.Time // the end of the last request; zero: there was none
}

// driftIn bounds how two clocks run apart: by a nanosecond in so many. Clocks of computers
// do by up to 200 in a million, and the Linux kernel corrects them by 500 at most.
const driftIn = 2000

// Seen notes that a service read its clock as stamp, cut to a precision, during a request
// that began at begun and was answered at ended, both by the clock of this process. What
// does not fit to what was known is a clock that was set: it counts alone.
func (b Bounds) Seen(stamp time.Time, precision time.Duration, begun, ended time.Time) Bounds {
	low, high := stamp.Sub(ended), stamp.Add(precision).Sub(begun)
	if high < low || stamp.IsZero() { // the clock was set during the request
		return b
	}
	if b.Known() {
		drift := ended.Sub(b.at).Abs() / driftIn
		if l, h := max(low, b.low-drift), min(high, b.high+drift); l <= h {
			low, high = l, h
		}
	}
	return Bounds{low: low, high: high, at: ended}
}

// Known reports whether an answer has shown anything.
func (b Bounds) Known() bool { return !b.at.IsZero() }

// Least returns the least by which the service is ahead; it is negative where the service
// may be behind, and 0 before the first answer. What is due by it is due.
func (b Bounds) Least() time.Duration { return b.low }

// Likely returns by how much the service is ahead: 0 as long as the answers allow that the
// two clocks are one, else the middle of the bounds.
func (b Bounds) Likely() time.Duration {
	if b.low <= 0 && b.high >= 0 {
		return 0
	}
	return b.low + (b.high-b.low)/2
}
