package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// What the queues of a pool say of themselves: its own, that of its dead
// letters, those of its tasks' on_fail. Other programs may have made them, and
// their attributes decide what becomes of a message.

// DeadLetterRetention is how long a new queue of dead letters keeps them: 14
// days, the longest that SQS allows (SQS developer guide, "Message quotas").
const DeadLetterRetention = 14 * 24 * time.Hour

// lookAtQueues asks the poller for the attributes of the pool's own queue and
// of its dead letters, which is made now if it may be: that it can not be made
// must be known before the first dead letter.
func (d *dispatcher) lookAtQueues() {
	d.ctx.Send(d.poller, &poller.Look{})
	d.ctx.Send(d.poller, &poller.Look{Pool: d.deadPool,
		Ensure: poller.EnsureOptions{Create: d.create, Retention: DeadLetterRetention}})
	for _, name := range slices.Sorted(maps.Keys(d.registry)) {
		d.lookAtOnFail(d.registry[name].spec)
	}
}

func (d *dispatcher) lookAtOnFail(spec task.Spec) {
	if pool := spec.OnFail.Pool; pool != "" && pool != d.pool {
		d.ctx.Send(d.poller, &poller.Look{Pool: pool})
	}
}

func (d *dispatcher) onQueueRead(m *poller.QueueRead) {
	name := m.Pool
	if name == "" {
		name = d.pool
	}
	if m.Err != nil {
		d.findOnce(name, unread(name, m.Err))
		return
	}
	if d.limits[m.Pool] != m.Attributes {
		d.limits[m.Pool] = m.Attributes
	}
	for _, f := range review(d.roleOf(m.Pool), m.Attributes, d.needs()) {
		d.findOnce(name, f)
	}
}

// findOnce logs a finding, once.
func (d *dispatcher) findOnce(queue string, f finding) {
	key := queue + " " + f.text
	if d.found[key] {
		return
	}
	d.found[key] = true
	d.log.Warn(f.text, append([]any{"queue", queue}, f.args...)...)
}

func (d *dispatcher) roleOf(pool string) role {
	switch pool {
	case "", d.pool:
		return roleOwn
	case d.deadPool:
		return roleDead
	}
	return roleOnFail
}

// needs are what the pool needs of its queues now.
func (d *dispatcher) needs() needs {
	n := needs{retention: d.RetentionPeriod, size: d.maxSize("")}
	most := 1
	for _, e := range d.registry {
		most = max(most, e.spec.MaxFailures)
	}
	n.receives = leastReceives(d.ordered, most)
	return n
}

// role is what a queue is to a pool.
type role uint8

const (
	roleOwn    role = iota
	roleDead        // keeps the pool's dead letters
	roleOnFail      // gets the on_fail tasks
)

// needs are what a pool expects of its queues.
type needs struct {
	retention time.Duration // the setting retention_period
	size      int           // of the pool's largest message
	receives  int           // of one copy of a message, that it survives what may happen to it: see leastReceives
}

// copyReceives is how many receives a copy on a standard queue needs: one that
// ends in a hide, one that ends in a crash, and one to make the next copy. See
// timing.spare and timing.last.
const copyReceives = 3

// leastReceives returns the least maxReceiveCount of a pool's queue with which
// its RedrivePolicy takes no message that the failure budget leaves a run. On a
// FIFO pool, where there are no copies, each receive up to the one that gives the
// message up counts: see ledger.silentlySpent.
func leastReceives(ordered bool, maxFailures int) int {
	if ordered {
		return maxFailures + silentGrace + 1
	}
	return copyReceives
}

// finding is an attribute of a queue that takes work away, with what to do.
type finding struct {
	text string
	args []any
}

// review compares a queue's attributes with what a pool needs. It is pure.
func review(r role, a poller.QueueAttributes, n needs) (found []finding) {
	add := func(text string, args ...any) { found = append(found, finding{text, args}) }
	switch {
	case a.MaxReceives == 0:
	case r == roleOwn && a.MaxReceives < n.receives:
		add("the queue's RedrivePolicy takes tasks away that may still run: raise its maxReceiveCount, or remove "+
			"the policy, for the chassis keeps dead letters itself",
			"maxReceiveCount", a.MaxReceives, "least", n.receives, "redrives_to", a.RedriveTo)
	case r == roleDead:
		add("the queue of the dead letters has a RedrivePolicy, which takes them away when they are looked at: "+
			"remove it",
			"maxReceiveCount", a.MaxReceives, "redrives_to", a.RedriveTo)
	}
	switch {
	case a.Retention == 0:
	case r == roleOwn && a.Retention < n.retention:
		add("the queue keeps messages for less than retention_period says: its MessageRetentionPeriod counts. "+
			"Raise that, or set retention_period to it",
			"MessageRetentionPeriod", a.Retention, "retention_period", n.retention)
	case r == roleDead && a.Retention < DeadLetterRetention:
		add("the queue of the dead letters keeps them for less than 14 days: set its MessageRetentionPeriod to "+
			"1209600",
			"MessageRetentionPeriod", a.Retention)
	}
	if r != roleOwn && a.MaxMessageSize > 0 && a.MaxMessageSize < n.size {
		add("the queue takes smaller messages than the pool, so the largest of them can not be sent to it: raise "+
			"its MaximumMessageSize",
			"MaximumMessageSize", a.MaxMessageSize, "pool", n.size)
	}
	if a.FIFO && !a.HighThroughput {
		add("the FIFO queue takes 300 requests a second: with DeduplicationScope=messageGroup and " +
			"FifoThroughputLimit=perMessageGroupId it takes thousands")
	}
	return found
}

// unread is the finding that a queue's attributes could not be read.
func unread(queue string, err error) finding {
	if errors.Is(err, poller.ErrNoQueue) {
		return finding{fmt.Sprintf("the queue %s does not exist: what is sent to it will fail. Create it, or "+
			"allow the service to", queue), []any{"error", err}}
	}
	return finding{"the queue's attributes cannot be read: the settings and SQS's defaults are taken for them. " +
		"Allow sqs:GetQueueAttributes and sqs:GetQueueUrl", []any{"error", err}}
}

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
	return fmt.Errorf("%w: it is due in %v, and the FIFO queue %q keeps a message for %v "+
		"(MessageRetentionPeriod). Raise that, at most to 14 days, send the task later, or send it to a standard pool",
		ErrNotKept, when.Sub(now).Round(time.Second), pool, retention)
}

// longestDelay is the longest delay of a copy: SQS's 15 minutes, or half of what
// a queue of a short retention keeps, for a delayed message grows old as well.
func longestDelay(retention time.Duration) time.Duration {
	return max(min(maxDelay, (retention/2).Truncate(time.Second)), time.Second)
}

func isFIFO(pool string) bool { return strings.HasSuffix(pool, ".fifo") }
