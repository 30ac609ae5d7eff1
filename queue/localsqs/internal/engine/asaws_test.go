package engine

import (
	"fmt"
	"slices"
	"testing"
)

const start = int64(1e18)

func unkindQueue(t *testing.T, seed uint64, name string, n int) (*Engine, *Queue) {
	t.Helper()
	e := New(Config{Account: "0", Durable: true, AsAWS: true, Seed: seed, NewID: func() [16]byte { return [16]byte{255} }})
	var attrs map[string]string
	in := SendInput{Delay: QueueDelay}
	if name == "q.fifo" {
		attrs, in.Group = map[string]string{"FifoQueue": "true"}, "g"
	}
	q, err := e.CreateQueue(start, Key{"r", name}, attrs, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		one := in
		one.Content = &Content{Body: fmt.Sprint(i), DedupID: fmt.Sprint(i)}
		e.Send(start, q, &one)
	}
	e.Flush(start)
	return e, q
}

// drain receives by long polls until nothing comes, and gives the messages'
// numbers in order.
func drain(e *Engine, now int64, q *Queue) (seqs []uint64) {
	for {
		w := &Waiter{Queue: q, Max: 10, Visibility: 30, Wait: 1}
		if !e.Receive(now, w) {
			e.Cancel(w)
			return seqs
		}
		for _, m := range w.Messages {
			seqs = append(seqs, m.Seq)
		}
	}
}

func TestAsAWSAStandardQueueIsSomewhatOutOfOrder(t *testing.T) {
	order := func(seed uint64, name string) []uint64 {
		e, q := unkindQueue(t, seed, name, 500)
		return drain(e, start, q)
	}
	got := order(1, "q")
	if sorted := slices.Sorted(slices.Values(got)); len(slices.Compact(sorted)) != 500 {
		t.Fatalf("%d messages, want each of 500 once", len(sorted))
	}
	if slices.IsSorted(got) {
		t.Error("they are in order")
	}
	for i, seq := range got {
		if d := int64(seq) - int64(i) - 1; d >= disorder || -d >= disorder {
			t.Errorf("number %d came at place %d", seq, i+1)
		}
	}
	if !slices.Equal(got, order(1, "q")) {
		t.Error("the same seed gives another order")
	}
	if slices.Equal(got, order(2, "q")) {
		t.Error("another seed gives the same order")
	}
	if fifo := order(1, "q.fifo"); !slices.IsSorted(fifo) {
		t.Error("a FIFO queue is out of order")
	}
}

func TestAsAWSAMessageComesTwiceNowAndThen(t *testing.T) {
	e, q := unkindQueue(t, 3, "q", 3000)
	first := drain(e, start, q)
	e.Advance(start + doubleAfter)
	again := drain(e, start+doubleAfter, q)
	if len(first) != 3000 || len(again) < 10 || len(again) > 90 {
		t.Errorf("%d messages, %d of them again within a second; want 3000 and about 30", len(first), len(again))
	}
}

func TestAsAWSAShortPollFindsSomeMessages(t *testing.T) {
	e, q := unkindQueue(t, 4, "q", 100)
	sizes := map[int]int{}
	found := 0
	for range 400 {
		w := &Waiter{Queue: q, Max: 10, Visibility: 3600}
		if !e.Receive(start, w) {
			t.Fatal("a short poll waits")
		}
		if found += len(w.Messages); found < 90 {
			sizes[len(w.Messages)]++
		}
	}
	if found != 100 || sizes[0] == 0 || len(sizes) < 4 {
		t.Errorf("found %d messages, by polls of sizes %v; want all 100 at last, some polls empty and the others of many sizes", found, sizes)
	}
}

func TestAsAWSCountsAreLate(t *testing.T) {
	e, q := unkindQueue(t, 5, "q", 0)
	visible := func(now int64) string {
		e.Advance(now)
		a, err := e.Attributes(q, []string{"ApproximateNumberOfMessages"})
		if err != nil {
			t.Fatal(err)
		}
		return a["ApproximateNumberOfMessages"]
	}
	before := visible(start)
	e.Send(start, q, &SendInput{Content: &Content{Body: "x"}, Delay: QueueDelay})
	e.Flush(start)
	if soon, later := visible(start+countsAge-1), visible(start+countsAge); before != "0" || soon != "0" || later != "1" {
		t.Errorf("before a send %s, soon after it %s, later %s; want 0, 0 and 1", before, soon, later)
	}
}

func TestAsAWSAChangeOfAttributesTakesItsTime(t *testing.T) {
	e, q := unkindQueue(t, 6, "q", 0)
	set := func(now int64, name, value string) {
		t.Helper()
		e.Advance(now)
		if err := e.SetAttributes(now, q, map[string]string{name: value}); err != nil {
			t.Fatal(err)
		}
	}
	set(start, "VisibilityTimeout", "7")
	set(start+10*second, "DelaySeconds", "3")
	if a, _ := e.Attributes(q, []string{"All"}); a["VisibilityTimeout"] != "7" || a["DelaySeconds"] != "3" {
		t.Errorf("shown are %v", a)
	}
	var record *QueueRecord
	for _, c := range e.TakeChanges() {
		if c.Kind == QueuePut {
			record = c.Record
		}
	}
	if record.Attributes["VisibilityTimeout"] != "7" || record.Attributes["DelaySeconds"] != "3" {
		t.Errorf("kept are %v", record.Attributes)
	}
	for _, c := range []struct{ now, visibility, delay int64 }{{start + 69*second, 30, 0}, {start + 70*second, 7, 3}} {
		e.Advance(c.now)
		if q.attrs.visibility != c.visibility || q.attrs.delay != c.delay {
			t.Errorf("after %d s: visibility %d, delay %d; want %d and %d", (c.now-start)/second, q.attrs.visibility, q.attrs.delay, c.visibility, c.delay)
		}
	}
	set(start+80*second, "DelaySeconds", "4")
	e.DeleteQueue(start+80*second, q)
	e.Advance(start + 300*second) // a change of a queue that is gone does nothing
}

// A move takes what the queue held at its beginning, in whatever order, and
// nothing that came later.
func TestAsAWSAMoveTakesWhatThereWas(t *testing.T) {
	e, dead := unkindQueue(t, 7, "dead", 100)
	source, err := e.CreateQueue(start, Key{"r", "source"}, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + e.ARN(dead) + `","maxReceiveCount":1}`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.StartMoveTask(start, e.ARN(dead), e.ARN(source), nil); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		e.Send(start, dead, &SendInput{Content: &Content{Body: "later"}, Delay: QueueDelay})
	}
	e.Flush(start)
	for now := start; now < start+2*second; now += moveStep {
		e.Advance(now)
	}
	if source.visible != 100 || dead.visible != 50 {
		t.Errorf("%d were moved and %d are left, want 100 and 50", source.visible, dead.visible)
	}
}
