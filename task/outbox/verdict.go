package outbox

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// verdict is what becomes of a row after its send.
type verdict int

const (
	stays  verdict = iota // nothing is known against the row itself
	sent                  // the queue has it: it is deleted
	failed                // it alone failed: the try is counted
	aside                 // no queue takes it
)

// judge says what becomes of a row that was sent with err. others reports whether the
// pool took another row in the same pass: then the failure is the row's own.
func judge(err error, others bool, tries, maxTries int) verdict {
	var entry *poller.BatchError
	switch {
	case err == nil:
		return sent
	case errors.Is(err, poller.ErrInvalidMessage), errors.Is(err, poller.ErrQueueName):
		return aside
	case errors.Is(err, poller.ErrSenderClosed), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, context.Canceled), errors.As(err, &entry) && strings.Contains(entry.Code, "Throttl"):
		return stays
	case errors.As(err, &entry) && entry.SenderFault && !isRight(entry.Code):
		return aside
	case !others:
		return stays
	case tries+1 >= maxTries:
		return aside
	}
	return failed
}

// isRight reports whether a code says that a right or a key is missing, which is the
// pool's matter and not the row's.
func isRight(code string) bool {
	return strings.Contains(code, "AccessDenied") || strings.HasPrefix(code, "Kms") || strings.HasPrefix(code, "KMS")
}

// retryWait is the pause of a row after its n-th failure: 1 s doubled up to 5 min.
func retryWait(n int) time.Duration {
	return min(time.Second<<min(max(n-1, 0), 9), 5*time.Minute)
}

// A pause after a failure grows from the least to the most.
const (
	leastPause = 100 * time.Millisecond
	mostPause  = 30 * time.Second
)

// backoff is the pause of a pool, or of the database. The zero value is no pause.
type backoff struct {
	pause time.Duration
	until time.Time
}

// fail begins the next pause, half of it by chance: random draws from [0, 1).
func (b *backoff) fail(now time.Time, random func() float64) {
	b.pause = min(max(2*b.pause, leastPause), mostPause)
	b.until = now.Add(b.pause/2 + time.Duration(random()*float64(b.pause/2)))
}

// maxPaused bounds the pools that are remembered as away.
const maxPaused = 1000

// pauses are the pools that are away. Their rows stay where they are.
type pauses map[string]*backoff

// fail pauses a pool, and reports whether it was not paused before.
func (p pauses) fail(pool string, now time.Time, random func() float64) (news bool) {
	b := p[pool]
	if b == nil {
		if len(p) >= maxPaused {
			clear(p) // they are tried once more
		}
		b, news = &backoff{}, true
		p[pool] = b
	}
	b.fail(now, random)
	return news
}

// worked ends the pause of a pool, and reports whether it had one.
func (p pauses) worked(pool string) bool {
	_, had := p[pool]
	delete(p, pool)
	return had
}

// text returns the pools that are paused now, between line feeds.
func (p pauses) text(now time.Time) string {
	var b strings.Builder
	b.WriteByte('\n')
	for pool, pause := range p {
		if now.Before(pause.until) {
			b.WriteString(pool)
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// wait returns how long a relay waits after a pass, at most poll.
func (p pauses) wait(now time.Time, poll time.Duration) time.Duration {
	for _, pause := range p {
		if left := pause.until.Sub(now); left > 0 {
			poll = min(poll, left)
		}
	}
	return poll
}
