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
