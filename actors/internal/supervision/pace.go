package supervision

import "time"

const (
	calmAfter  = time.Minute            // without a restart, after which the next is the first again
	atOnce     = 3                      // restarts without a pause
	firstPause = 100 * time.Millisecond // before the next one; each doubles it
	mostPause  = 3 * time.Second
)

// pace says how long to wait before a restart. Pure.
type pace struct {
	restarts int // within calmAfter of one another
	last     time.Time
}

// next returns the pause before a restart at now: none before the first three.
func (p *pace) next(now time.Time) time.Duration {
	if now.Sub(p.last) > calmAfter {
		p.restarts = 0
	}
	p.restarts++
	p.last = now
	if p.restarts <= atOnce {
		return 0
	}
	pause := firstPause << min(p.restarts-atOnce-1, 10)
	return min(pause, mostPause)
}
