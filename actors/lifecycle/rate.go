package lifecycle

import "time"

// Dead letters are logged at this rate: a burst, refilled one by one. The next record
// has the number of those that were not logged.
const (
	rateBurst  = 10
	rateRefill = time.Second
)

// rate is a token bucket. Its zero value is full.
type rate struct {
	used    int       // tokens that are out
	at      time.Time // of the last refill
	skipped uint64    // since the last one that was allowed
}

// take reports whether a dead letter may be logged now, and how many were skipped
// since the last one that was logged.
func (r *rate) take(now time.Time) (ok bool, skipped uint64) {
	if n := int(now.Sub(r.at) / rateRefill); n > 0 {
		r.used = max(0, r.used-n)
		r.at = now
	}
	if r.used >= rateBurst {
		r.skipped++
		return false, 0
	}
	r.used++
	skipped, r.skipped = r.skipped, 0
	return true, skipped
}
