package pools

import "testing"

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
