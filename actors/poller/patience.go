package poller

import (
	"context"
	"errors"
	"net"
	"time"
)

// patience is how long a receive waits for a first message. It is pure.
//
// A NAT or a proxy between here and the queue may forget a connection that is
// silent for some seconds. Then the answer of a long poll is lost, and what it
// brought is hidden from everybody for a whole lease. So the wait is halved after
// each receive that nobody answered, and doubled after a quiet time, which is
// twice as long each time that the longer wait was too long.
type patience struct {
	full  time.Duration // the setting
	wait  time.Duration
	since time.Time     // of the last change
	quiet time.Duration // after which a longer wait is tried
}

const (
	shortestWait = time.Second
	firstQuiet   = time.Hour
	longestQuiet = 24 * time.Hour
)

func newPatience(full time.Duration) patience {
	return patience{full: full, wait: full, quiet: firstQuiet}
}

// unanswered notes a receive with a wait of asked that got no answer. It reports
// whether the wait is shorter now. If the shortest is not answered either the wait
// is not to blame: the queue is away.
func (p *patience) unanswered(now time.Time, asked time.Duration) bool {
	if asked != p.wait {
		return false // it began before the last change
	}
	p.since = now
	if p.wait <= shortestWait {
		p.wait = p.full
		return false
	}
	p.wait = max((p.wait / 2).Truncate(time.Second), shortestWait)
	return true
}

// answered notes a receive that was answered, and reports whether the wait is
// longer now.
func (p *patience) answered(now time.Time) bool {
	if p.wait >= p.full || now.Sub(p.since) < p.quiet {
		return false
	}
	p.wait = min(2*p.wait, p.full)
	p.since, p.quiet = now, min(2*p.quiet, longestQuiet)
	return true
}

// isUnanswered reports whether err is that nothing came back in time.
func isUnanswered(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
