package chassis

import (
	"testing"
	"time"
)

func TestTaskActorsAreKnownByTheirAddress(t *testing.T) {
	for id, want := range map[string]struct {
		pool, of string
		depth    int
	}{
		"stock": {}, "dispatcher/mails": {}, "poller/mails/$1": {}, "lifecycle": {},
		"dispatcher/mails/$1f":       {"mails", "dispatcher/mails/$1f", 1},
		"dispatcher/mails/$1f/$2":    {"mails", "dispatcher/mails/$1f", 2},
		"dispatcher/a.fifo/$1/$2/$3": {"a.fifo", "dispatcher/a.fifo/$1", 3},
	} {
		pool, of, depth := taskActor(id)
		if pool != want.pool && want.depth > 0 || of != want.of && want.depth > 0 || depth != want.depth {
			t.Errorf("%s: pool %q, of %q, depth %d", id, pool, of, depth)
		}
	}
}

func TestStagesOfACutStopShareTheirTime(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		since, want time.Duration
	}{{0, 5 * time.Second}, {2 * time.Second, 3 * time.Second}, {time.Minute, hurry}} {
		cut := now.Add(-c.since)
		if got := stageLimit(&cut, now); got != c.want {
			t.Errorf("%v after the cut: %v, want %v", c.since, got, c.want)
		}
	}
	if got := stageLimit(nil, now); got != stopTimeout {
		t.Errorf("not cut: %v", got)
	}
}
