package dispatcher

// Worker slots and the demand that they make: pure, no actor.

// slots counts the workers of a pool.
type slots struct {
	workers     int
	running     int // executions with an attempt under way
	soon        int // of them, those that may end soon
	outstanding int // credits given to the poller less deliveries; may be below zero
}

func (s *slots) free() bool { return s.running < s.workers }

// credits is the change of demand to be told now, 0 for none. queued messages
// wait for a slot already; free is how many permits there are for them, and
// ahead how many of them there should be at least; blocked means that none are
// wanted. Small changes
// are told together while others are outstanding: a message to the poller for
// each finished task would be one too many.
func (s *slots) credits(queued, free, ahead int, blocked bool) int {
	target := 0
	if !blocked {
		target = max(max(min(s.workers-s.running, free), min(ahead, s.workers))-queued, 0)
	}
	delta := target - s.outstanding
	step := min(max(s.soon/8, 1), 10)
	switch {
	case delta >= step, delta > 0 && s.outstanding <= 0:
	case delta <= -step, delta < 0 && blocked:
	default:
		return 0
	}
	s.outstanding += delta
	return delta
}

// turning is the number of slots that take part in the turnover: credits that
// are outstanding and those that may follow soon. At least 1, for the poller
// reads 0 as unknown.
func (s *slots) turning() int { return max(s.soon+s.outstanding, 1) }

// scale is the rule of the Python chassis: l messages wait on the queue.
func scale(workers, base, limit, factor, l int) int {
	if l > workers*factor+factor/2 {
		return min(workers+1, max(limit, base))
	}
	if l < workers*factor-factor/2 {
		return max(workers-1, base)
	}
	return workers
}
