package engine

import (
	"fmt"
	"testing"
)

// fifoQueue is an engine with a FIFO queue of n messages of one group.
func fifoQueue(t *testing.T, now int64, n int) (*Engine, *Queue) {
	t.Helper()
	e := New(Config{Account: "0", Durable: true})
	q, err := e.CreateQueue(now, Key{"r", "q.fifo"}, map[string]string{"FifoQueue": "true"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		e.Send(now, q, &SendInput{ID: [16]byte{byte(i + 1)}, Group: "g", Content: &Content{DedupID: fmt.Sprint(i)}, Delay: QueueDelay})
	}
	e.Flush(now)
	return e, q
}

// take receives up to limit messages and gives their ids and handles.
func take(e *Engine, now int64, q *Queue, limit int) (ids string, handles []string) {
	w := &Waiter{Queue: q, Max: limit, Visibility: 30}
	e.Receive(now, w)
	for i := range w.Messages {
		ids += fmt.Sprint(w.Messages[i].ID[0])
		handles = append(handles, string(e.AppendReceipt(nil, &w.Messages[i])))
	}
	return ids, handles
}

// A message in flight hides what comes after it in its group, and not what
// comes before; after a restart too.
func TestAMessageInFlightHidesWhatComesAfterIt(t *testing.T) {
	const now = int64(1e18)
	for name, c := range map[string]struct {
		back string // of the three in flight, by their place, in this order
		want string
	}{
		"the first":              {"1", "1"},
		"the second":             {"2", ""},
		"the last":               {"3", ""},
		"the second, the first":  {"21", "12"},
		"the first, the last":    {"13", "1"},
		"all":                    {"321", "12345"},
		"the last, the second":   {"32", ""},
		"none":                   {"", ""},
		"the first, the second":  {"12", "12"},
		"the first, then others": {"123", "12345"},
	} {
		t.Run(name, func(t *testing.T) {
			e, q := fifoQueue(t, now, 5)
			ids, handles := take(e, now, q, 3)
			if ids != "123" {
				t.Fatalf("received %q", ids)
			}
			for _, i := range c.back {
				if err := e.ChangeVisibility(now, q, handles[i-'1'], 0); err != nil {
					t.Fatal(err)
				}
			}
			stored := map[uint64]Meta{}
			for _, change := range e.TakeChanges() {
				if change.Kind == MessagePut || change.Kind == MessageMeta {
					stored[change.Seq] = change.Meta
				}
			}
			restored := New(Config{Account: "0"})
			r, err := restored.RestoreQueue(&QueueRecord{Key: q.Key, ID: q.ID, Attributes: q.attrs.raw})
			if err != nil {
				t.Fatal(err)
			}
			for seq := uint64(1); seq <= 5; seq++ {
				meta := stored[seq]
				restored.RestoreMessage(now, r, seq, &meta)
			}
			if got, _ := take(e, now, q, 10); got != c.want {
				t.Errorf("received %q, want %q", got, c.want)
			}
			if got, _ := take(restored, now, r, 10); got != c.want {
				t.Errorf("after a restart received %q, want %q", got, c.want)
			}
		})
	}
}

// What a group remembers of messages in flight does not grow with their receives.
func TestAGroupForgetsWhatWasInFlight(t *testing.T) {
	const now = int64(1e18)
	e, q := fifoQueue(t, now, 10)
	for range 1000 {
		_, handles := take(e, now, q, 3)
		for _, h := range handles {
			if err := e.ChangeVisibility(now, q, h, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := q.groups["g"].hidden.len(); n > 3 {
		t.Errorf("%d messages are remembered, and none is in flight", n)
	}
}

// The scope of deduplication is that of the queue's creation, after a restart too.
func TestADeduplicationScopeOutlivesItsAttribute(t *testing.T) {
	const now = int64(1e18)
	for _, created := range []string{scopeQueue, scopeGroup} {
		later := scopeQueue
		if created == scopeQueue {
			later = scopeGroup
		}
		e := New(Config{Account: "0", Durable: true})
		q, err := e.CreateQueue(now, Key{"r", "q.fifo"}, map[string]string{"FifoQueue": "true", "DeduplicationScope": created}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := e.SetAttributes(now, q, map[string]string{"DeduplicationScope": later}); err != nil {
			t.Fatal(err)
		}
		var record *QueueRecord
		for _, c := range e.TakeChanges() {
			if c.Kind == QueuePut {
				record = c.Record
			}
		}
		restored, err := New(Config{}).RestoreQueue(record)
		if err != nil {
			t.Fatal(err)
		}
		for what, q := range map[string]*Queue{"the queue": q, "after a restart": restored} {
			if got := q.dedupKey("a", "id") != q.dedupKey("b", "id"); got != (created == scopeGroup) {
				t.Errorf("created with %s, then %s, %s: two groups' ids differ: %v", created, later, what, got)
			}
			if shown := q.attrs.withDefaults()["DeduplicationScope"]; shown != later {
				t.Errorf("%s: the attribute is %s, want %s", what, shown, later)
			}
		}
	}
}
