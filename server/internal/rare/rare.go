// Package rare bounds the log lines of what may happen thousands of times a second.
//
//	if kept, ok := sheds.Allow(time.Now()); ok {
//		log.Warn("shed", "not_logged", kept)
//	}
//
// A [Line] owns its time and its count. It is safe for several goroutines, starts none,
// and takes the time from its caller, so that a test needs no clock.
package rare

import (
	"sync/atomic"
	"time"
)

// Line lets one line a second through.
type Line struct {
	last atomic.Int64 // nanoseconds of the epoch
	kept atomic.Int64 // lines that were not written since
}

// Allow reports whether a line may be written now, and how many were not since the last.
func (o *Line) Allow(now time.Time) (kept int64, ok bool) {
	last := o.last.Load()
	if age := now.UnixNano() - last; last != 0 && age >= 0 && age < int64(time.Second) ||
		!o.last.CompareAndSwap(last, now.UnixNano()) {
		o.kept.Add(1)
		return 0, false
	}
	return o.kept.Swap(0), true
}
