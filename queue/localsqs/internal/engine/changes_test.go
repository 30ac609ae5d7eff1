package engine

import (
	"slices"
	"strconv"
	"testing"
)

// A message may be moved while its arrival is still on its way to the store.
func TestAMovedMessageKeepsItsContentUntilTheMoveIsInTheStore(t *testing.T) {
	e := New(Config{Account: "0", Durable: true})
	create := func(name string, attrs map[string]string) *Queue {
		q, err := e.CreateQueue(1, Key{"r", name}, attrs, nil)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	dead := create("dead", nil)
	jobs := create("jobs", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + e.ARN(dead) + `","maxReceiveCount":1}`})
	receive := func(q *Queue) []Received {
		w := &Waiter{Queue: q, Max: 1}
		e.Receive(2, w)
		e.Advance(3)
		return w.Messages
	}
	e.Send(1, jobs, &SendInput{Content: &Content{Body: "x"}, Delay: QueueDelay})
	sent := e.TakeChanges()
	receive(jobs)
	receive(jobs) // moves it
	moved := e.TakeChanges()
	e.Committed(sent)
	if got := receive(dead); len(got) != 1 || got[0].Content == nil {
		t.Errorf("with the move not in the store: %+v", got)
	}
	e.Committed(moved)
	if got := receive(dead); len(got) != 1 || got[0].Content != nil {
		t.Errorf("with the move in the store: %+v", got)
	}
}

// A queue with as much in flight as there may be gives again once some of it is
// deleted, to one who waits and whichever group the deleted was of.
func TestADeleteMakesRoomInFlightForOneWhoWaits(t *testing.T) {
	e := New(Config{Account: "0", InFlight: 1})
	q, err := e.CreateQueue(1, Key{"r", "jobs"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"a", "b"} {
		e.Send(1, q, &SendInput{Content: &Content{Body: group}, Delay: QueueDelay, Group: group})
	}
	first, second := &Waiter{Queue: q, Max: 1, Visibility: 30}, &Waiter{Queue: q, Max: 1, Visibility: 30, Wait: 20}
	if !e.Receive(2, first) || e.Receive(2, second) {
		t.Fatal("the second receive should wait, and only that")
	}
	if err := e.Delete(q, string(e.AppendReceipt(nil, &first.Messages[0]))); err != nil {
		t.Fatal(err)
	}
	e.Flush(3)
	if len(e.TakeWoken()) != 1 || len(second.Messages) != 1 {
		t.Error("there is room in flight and a message, and the receive still waits")
	}
}

func TestNothingIsHiddenForYearsByAClockThatWasWrong(t *testing.T) {
	e := New(Config{Account: "000000000000"})
	q, err := e.CreateQueue(0, Key{"r", "q"}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	const now, year = int64(1e18), 365 * 24 * 3600 * second
	e.RestoreMessage(now, q, 1, &Meta{ID: [16]byte{1}, Sent: now + year, Receives: 1, Due: now + year})
	e.RestoreMessage(now, q, 2, &Meta{ID: [16]byte{2}, Sent: now + year, Due: now + year})
	e.RestoreMessage(now, q, 3, &Meta{ID: [16]byte{3}, Sent: now, Receives: 1, Due: now + MaxVisibility*second})
	e.RestoreMessage(now, q, 4, &Meta{ID: [16]byte{4}, Sent: now, Due: now + MaxDelay*second})
	if q.visible != 2 || q.inflight != 1 || q.delayed != 1 {
		t.Errorf("%d visible, %d in flight, %d delayed; want 2, 1 and 1", q.visible, q.inflight, q.delayed)
	}
}

// The clock was hours ahead until the server stopped, and is set right: what is
// timed has as long to go as it had, after this restart and after the next.
func TestWhatIsTimedGoesOnAfterTheClockIsSetBack(t *testing.T) {
	const hour = 3600 * second
	const now, latest = int64(1e18), int64(1e18) + 2*hour
	seq := uint64(0)
	for name, c := range map[string]struct {
		meta Meta
		left int64 // ns that it is hidden from the restart on
	}{
		"in flight":                      {Meta{Sent: latest - 9*second, Received: latest - second, Receives: 1, Due: latest + 2*second}, 2 * second},
		"in flight for long, extended":   {Meta{Sent: latest - 11*hour, Received: latest - 10*hour, Receives: 1, Due: latest + 120*second}, 120 * second},
		"in flight, its time-out passed": {Meta{Sent: latest - hour, Received: latest - hour, Receives: 1, Due: latest - second}, 0},
		"delayed":                        {Meta{Sent: latest, Due: latest + 60*second}, 60 * second},
		"available":                      {Meta{Sent: latest}, 0},
	} {
		meta := c.meta
		for _, restart := range []string{"the first restart", "the next restart"} {
			e := New(Config{Account: "0", Durable: true})
			at := latest
			if restart == "the next restart" {
				at = now
			}
			e.RestoreTime(now, at)
			q, err := e.RestoreQueue(&QueueRecord{Key: Key{"r", "q"}, ID: 1})
			if err != nil {
				t.Fatal(err)
			}
			seq++
			e.RestoreMessage(now, q, seq, &meta)
			if left, ok := e.NextTimer(); c.left > 0 && left != now+c.left {
				t.Errorf("%s, %s: hidden for %d s, want %d", name, restart, (left-now)/second, c.left/second)
			} else if hidden := q.inflight+q.delayed > 0; hidden != (c.left > 0) {
				t.Errorf("%s, %s: hidden is %v, timer %v", name, restart, hidden, ok)
			}
			for _, change := range e.TakeChanges() {
				if change.Kind == MessageMeta {
					meta = change.Meta
				}
			}
		}
	}
}

func TestDeduplicationAndPurgesGoOnAfterTheClockIsSetBack(t *testing.T) {
	const now, latest = int64(1e18), int64(1e18) + 7200*second
	e := New(Config{Account: "0", Durable: true, Strict: true})
	e.RestoreTime(now, latest)
	q, err := e.RestoreQueue(&QueueRecord{Key: Key{"r", "q.fifo"}, ID: 1, Purged: latest - 59*second, Attributes: map[string]string{"FifoQueue": "true"}})
	if err != nil {
		t.Fatal(err)
	}
	e.RestoreDedup(now, q, "id", Sent{Seq: 1}, latest+10*second)
	e.Advance(now + 11*second)
	if _, found := q.dedup.find("id"); found {
		t.Error("a deduplication id with 10 s to go is remembered after 11 s")
	}
	if err := e.Purge(now+2*second, q); err != nil {
		t.Errorf("61 s after a purge: %v", err)
	}
}

// A server that writes records the time along with its changes, at most once a second.
func TestTheTimeIsRecordedAlongWithChanges(t *testing.T) {
	e := New(Config{Account: "0", Durable: true})
	times := func(now int64) (times []int64) {
		e.Advance(now)
		if _, err := e.CreateQueue(now, Key{"r", "q" + strconv.FormatInt(now, 10)}, nil, nil); err != nil {
			t.Fatal(err)
		}
		for _, c := range e.TakeChanges() {
			if c.Kind == TimePut {
				times = append(times, c.Due)
			}
		}
		return times
	}
	for _, c := range []struct {
		now  int64
		want []int64
	}{{10 * second, []int64{10 * second}}, {10*second + 1, nil}, {11 * second, []int64{11 * second}}} {
		if got := times(c.now); !slices.Equal(got, c.want) {
			t.Errorf("at %d: %v, want %v", c.now, got, c.want)
		}
	}
}
