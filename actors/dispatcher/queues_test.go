package dispatcher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

func TestReview(t *testing.T) {
	n := needs{retention: 96 * time.Hour, size: 1 << 20, receives: 5}
	good := poller.QueueAttributes{Retention: 96 * time.Hour, MaxMessageSize: 1 << 20}
	dead := poller.QueueAttributes{Retention: DeadLetterRetention, MaxMessageSize: 1 << 20}
	with := func(a poller.QueueAttributes, change func(*poller.QueueAttributes)) poller.QueueAttributes {
		change(&a)
		return a
	}
	for _, c := range []struct {
		name string
		role role
		a    poller.QueueAttributes
		want string // of each finding a word, in their order
	}{
		{"the pool's, as it is made", roleOwn, good, ""},
		{"the dead letters', as it is made", roleDead, dead, ""},
		{"nothing is known", roleOwn, poller.QueueAttributes{}, ""},
		{"a redrive policy that takes a task after its third receive", roleOwn,
			with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 3 }), "maxReceiveCount"},
		{"a redrive policy one receive too low", roleOwn, with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 4 }), "maxReceiveCount"},
		{"a redrive policy for what crashes for ever", roleOwn, with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 5 }), ""},
		{"on_fail with a redrive policy of one receive: that pool's dispatcher sees to it", roleOnFail,
			with(good, func(a *poller.QueueAttributes) { a.MaxReceives = 1 }), ""},
		{"dead letters that are redriven", roleDead, with(dead, func(a *poller.QueueAttributes) { a.MaxReceives = 1000 }), "RedrivePolicy"},
		{"keeps an hour", roleOwn, with(good, func(a *poller.QueueAttributes) { a.Retention = time.Hour }), "MessageRetentionPeriod"},
		{"keeps longer", roleOwn, with(good, func(a *poller.QueueAttributes) { a.Retention = 336 * time.Hour }), ""},
		{"dead letters of four days", roleDead, with(dead, func(a *poller.QueueAttributes) { a.Retention = 96 * time.Hour }), "1209600"},
		{"the pool takes 256 KiB: sends are checked", roleOwn, with(good, func(a *poller.QueueAttributes) { a.MaxMessageSize = 1 << 18 }), ""},
		{"dead letters of 256 KiB", roleDead, with(dead, func(a *poller.QueueAttributes) { a.MaxMessageSize = 1 << 18 }), "MaximumMessageSize"},
		{"on_fail of 256 KiB that keeps an hour", roleOnFail,
			with(good, func(a *poller.QueueAttributes) { a.MaxMessageSize, a.Retention = 1<<18, time.Hour }), "MaximumMessageSize"},
		{"FIFO as AWS makes it", roleOwn, with(good, func(a *poller.QueueAttributes) { a.FIFO = true }), "FifoThroughputLimit"},
		{"FIFO as it is made", roleOwn, with(good, func(a *poller.QueueAttributes) { a.FIFO, a.HighThroughput = true, true }), ""},
		{"all at once", roleDead, poller.QueueAttributes{MaxReceives: 1, Retention: time.Minute, MaxMessageSize: 1024, FIFO: true},
			"RedrivePolicy 1209600 MaximumMessageSize FifoThroughputLimit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := review(c.role, c.a, n)
			want := strings.Fields(c.want)
			if len(found) != len(want) {
				t.Fatalf("found %v, want %d findings", found, len(want))
			}
			for i, f := range found {
				text := f.text
				for _, a := range f.args {
					if s, ok := a.(string); ok {
						text += " " + s
					}
				}
				if !strings.Contains(text, want[i]) {
					t.Errorf("finding %q does not name %s", text, want[i])
				}
			}
		})
	}
}

// TestARedrivePolicyOfTheLeastReceivesTakesNoTaskThatMayRun: each delivery ends
// in a crash, and those before its time in a hide, until the budget says that it
// is silentlySpent. With one receive less that the review asks for a FIFO task is taken.
func TestARedrivePolicyOfTheLeastReceivesTakesNoTaskThatMayRun(t *testing.T) {
	const lease = 120 * time.Second
	taken := func(maxReceives, maxFailures int, ordered bool, ahead time.Duration) bool {
		now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
		copied := func(due time.Time) timing {
			return timing{due: due, marked: due.IsZero(), sent: now, firstReceived: now, lease: lease, holdLimit: 30 * time.Second, canHold: true,
				ordered: ordered, retention: 336 * time.Hour, maxReceives: maxReceives}
		}
		m, carried := copied(now.Add(ahead)), 0
		for range 1000 {
			if m.receives++; m.receives > maxReceives {
				return true
			}
			m.received = now
			receives, age := m.counted(now)
			l := ledger{max: maxFailures, ordered: ordered}
			l.silent = carried + deliveries{receives: receives, age: age, lease: lease, other: 10 * time.Second}.silentEnds()
			switch p := schedule(m, now); p.kind {
			case planHide:
				now = now.Add(p.wait)
			case planDelay:
				now = now.Add(p.wait)
				m, carried = copied(m.due), l.silent
			case planRenew:
				m, carried = copied(time.Time{}), l.silent
			case planRun:
				if l.silentlySpent() {
					return false
				}
				now = now.Add(p.wait + lease)
			}
		}
		t.Error("it runs for ever")
		return false
	}
	for _, failures := range []int{1, 3, 10} {
		for _, ahead := range []time.Duration{0, 20 * time.Second, 10 * time.Hour, 100 * time.Hour} {
			if least := leastReceives(false, failures); taken(least, failures, false, ahead) {
				t.Errorf("due in %v, max failures %d: taken by a policy of %d receives", ahead, failures, least)
			}
		}
		least := leastReceives(true, failures)
		if taken(least, failures, true, 0) || !taken(least-1, failures, true, 0) {
			t.Errorf("FIFO, max failures %d: %d receives are not the least", failures, least)
		}
	}
	if !taken(1, 3, false, 0) {
		t.Error("a policy of one receive takes what crashed once")
	}
}

func TestAFIFOTaskThatItsQueueCannotKeepIsRefused(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	for _, c := range []struct {
		pool      string
		due       time.Duration
		retention time.Duration
		refused   bool
	}{
		{"p.fifo", 0, 4 * day, false},
		{"p.fifo", 4*day - 15*time.Minute, 4 * day, false},
		{"p.fifo", 4*day - 15*time.Minute + 1, 4 * day, true},
		{"p.fifo", 53 * time.Second, time.Minute, true},
		{"p.fifo", 52 * time.Second, time.Minute, false},
		{"other.fifo", 13 * day, 0, false},
		{"other.fifo", 14 * day, 0, true},
		{"p", 400 * day, time.Hour, false}, // renewed by copies
	} {
		err := CheckKept(c.pool, now.Add(c.due), now, c.retention)
		if errors.Is(err, ErrNotKept) != c.refused || !c.refused && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

func TestLimitsAreTheQueuesOwnWhereTheyAreKnown(t *testing.T) {
	c := &core{Settings: DefaultSettings(), pool: "p", limits: map[string]poller.QueueAttributes{}}
	if c.retention() != 96*time.Hour || c.maxSize("") != task.MaxSize || c.maxSize("p_dead") != task.MaxSize {
		t.Error("without a word of the queue the settings hold")
	}
	c.limits[""] = poller.QueueAttributes{Retention: time.Hour, MaxMessageSize: 1024}
	c.limits["p_dead"] = poller.QueueAttributes{MaxMessageSize: 2048}
	if c.retention() != time.Hour || c.maxSize("") != 1024 || c.maxSize("p") != 1024 || c.maxSize("p_dead") != 2048 {
		t.Error("the queue's own attributes are not heeded")
	}
	c.limits["p_large"] = poller.QueueAttributes{MaxMessageSize: 2 * task.MaxSize}
	if c.maxSize("p_large") != task.MaxSize {
		t.Error("a queue takes no more than SQS does")
	}
	for retention, want := range map[time.Duration]time.Duration{
		time.Minute: 30 * time.Second, 10 * time.Minute: 5 * time.Minute, 30 * time.Minute: 15 * time.Minute, 96 * time.Hour: 15 * time.Minute,
	} {
		if got := longestDelay(retention); got != want {
			t.Errorf("a queue of %v: the longest delay is %v, want %v", retention, got, want)
		}
	}
}

func TestAMessageWithoutASentTimeIsKeptFromNowOn(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	if got := keptUntil(time.Time{}, time.Hour, now); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("kept until %v: it would be taken for one of the year 1, and renewed for ever", got)
	}
	if got := keptUntil(now.Add(-10*time.Minute), time.Hour, now); !got.Equal(now.Add(50*time.Minute - 450*time.Second)) {
		t.Errorf("kept until %v", got)
	}
}
