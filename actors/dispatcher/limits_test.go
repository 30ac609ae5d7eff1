package dispatcher

import (
	"errors"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

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
