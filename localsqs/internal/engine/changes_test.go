package engine

import "testing"

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
