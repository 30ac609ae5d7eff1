package dispatcher

import (
	"cmp"
	"fmt"
	"time"

	"github.com/sambatech/chassis/task"
)

// What the queues keep and take: by their own attributes where these are known,
// else by the settings and by SQS's own limits.

// retention is how long the pool's queue keeps a message.
func (c *core) retention() time.Duration {
	return cmp.Or(c.limits[""].Retention, c.RetentionPeriod)
}

// maxSize is the largest message that the queue of pool takes, in bytes. An empty
// name is the dispatcher's own pool.
func (c *core) maxSize(pool string) int {
	if pool == c.pool {
		pool = ""
	}
	return min(cmp.Or(c.limits[pool].MaxMessageSize, task.MaxSize), task.MaxSize)
}

// keepMargin is how long before the end of its retention a message is treated as
// gone: time for requests, for a redelivery, and for clocks that differ. A short
// retention has a shorter one.
func keepMargin(retention time.Duration) time.Duration { return min(15*time.Minute, retention/8) }

// keptUntil is the time up to which a message that was sent at sent is safe on a
// queue of that retention. A zero sent is not known: there is no end.
func keptUntil(sent time.Time, retention time.Duration, now time.Time) time.Time {
	if sent.IsZero() {
		return now.Add(retention)
	}
	return sent.Add(retention - keepMargin(retention))
}

// CheckKept returns an error if a task that is due at when cannot be kept until
// then by the queue of pool, which keeps a message for retention (0: SQS's 14
// days). That is so of FIFO queues alone: there a fresh copy, by which a standard
// queue keeps a message for any time, would change the order.
func CheckKept(pool string, when, now time.Time, retention time.Duration) error {
	retention = cmp.Or(retention, 14*24*time.Hour)
	if !isFIFO(pool) || !when.After(keptUntil(now, retention, now)) {
		return nil
	}
	return fmt.Errorf("%w: it is due in %v, and the FIFO queue %q keeps a message for %v (MessageRetentionPeriod). Raise that, at most to 14 days, send the task later, or send it to a standard pool",
		ErrNotKept, when.Sub(now).Round(time.Second), pool, retention)
}

// longestDelay is the longest delay of a copy: SQS's 15 minutes, or half of what
// a queue of a short retention keeps, for a delayed message grows old as well.
func longestDelay(retention time.Duration) time.Duration {
	return max(min(maxDelay, (retention/2).Truncate(time.Second)), time.Second)
}
