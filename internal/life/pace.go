package life

import "time"

// firstPause is the wait before the first restart that does not come at once.
// Each further one doubles it.
const firstPause = 100 * time.Millisecond

// pace decides how long an actor waits before a restart.
type pace struct {
	atOnce int           // restarts without a pause
	most   time.Duration // the longest pause
}

// Actors of the chassis pause in their mailbox, so that they do so under any
// supervisor. The longest pause fits into the time of a stop.
var ownPace = pace{atOnce: 3, most: 3 * time.Second}

// Actors of the service have mailboxes of their own, so the guardian pauses them.
var guestPace = pace{atOnce: 10, most: 10 * time.Second}

// before returns the wait before the n-th restart in a row, from 1.
func (p pace) before(n int) time.Duration {
	if n <= p.atOnce {
		return 0
	}
	return min(firstPause<<min(n-p.atOnce-1, 10), p.most)
}

// calmAfter is the time without a restart after which the next is the first again.
const calmAfter = time.Minute

// streak counts restarts that follow one another within calmAfter.
type streak struct {
	count int
	last  time.Time
}

// add counts a restart at now and returns its number in the streak.
func (s *streak) add(now time.Time) int {
	if now.Sub(s.last) > calmAfter {
		s.count = 0
	}
	s.count++
	s.last = now
	return s.count
}
