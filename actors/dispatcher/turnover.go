package dispatcher

import (
	"math"
	"time"
)

// turnover counts the attempts under way that are likely to end soon: those no
// older than a few times what attempts have lately taken. One that is older is
// long work, and its slot is not about to be free. Pure: the times are given.
type turnover struct {
	last    *stint  // the youngest; they are linked in the order of their begin
	edge    *stint  // the oldest recent one; nil if none is
	recent  int     // from edge on
	typical float64 // natural logarithm of the nanoseconds that attempts have lately taken
	known   bool    // an attempt has ended
}

// stint is one attempt's place in a [turnover]. It is part of the attempt, for
// a start allocates nothing else.
type stint struct {
	begun      time.Time
	prev, next *stint
	recent     bool
}

const (
	// recentFor is the number of typical durations after which an attempt is no
	// longer expected to end soon.
	recentFor = 8
	// recentLeast is the least age at which an attempt is called long: a few
	// preemptions of a busy machine.
	recentLeast = 10 * time.Millisecond
	// typicalWeight is the weight of the last attempt in the typical duration.
	// With it a change from seconds to milliseconds is learnt in some 30 ends.
	typicalWeight = 1.0 / 8
)

// began adds an attempt, which begins now and not before any other.
func (t *turnover) began(s *stint, now time.Time) {
	*s = stint{begun: now, prev: t.last, recent: true}
	if t.last != nil {
		t.last.next = s
	}
	t.last = s
	if t.edge == nil {
		t.edge = s
	}
	t.recent++
}

// ended takes an attempt out that took so long.
func (t *turnover) ended(s *stint, took time.Duration) {
	if t.edge == s {
		t.edge = s.next
	}
	if s.recent {
		t.recent--
	}
	if s.prev != nil {
		s.prev.next = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		t.last = s.prev
	}
	s.prev, s.next = nil, nil // an attempt that is kept must not keep others
	l := math.Log(float64(max(took, 1)))
	if !t.known {
		t.known, t.typical = true, l
	}
	t.typical += (l - t.typical) * typicalWeight
}

// soon returns the number of attempts under way that may end soon. Before the
// first has ended that is all of them.
func (t *turnover) soon(now time.Time) int {
	if !t.known {
		return t.recent
	}
	after := now.Add(-t.limit())
	for t.edge != nil && t.edge.begun.Before(after) {
		t.edge.recent = false
		t.edge = t.edge.next
		t.recent--
	}
	for s := t.older(); s != nil && !s.begun.Before(after); s = t.older() {
		s.recent = true
		t.edge = s
		t.recent++
	}
	return t.recent
}

// older returns the youngest attempt that is not recent.
func (t *turnover) older() *stint {
	if t.edge != nil {
		return t.edge.prev
	}
	return t.last
}

// limit is the age at which an attempt is long.
func (t *turnover) limit() time.Duration {
	if typical := math.Exp(t.typical); typical < float64(math.MaxInt64/recentFor) {
		return max(time.Duration(typical)*recentFor, recentLeast)
	}
	return math.MaxInt64
}
