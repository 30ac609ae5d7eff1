package engine

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// sendTime is the median time of a send to a queue of its own, and of one that
// wakes a poll, while polls wait on a thousand other queues.
func sendTime(t *testing.T, polls int) (quiet, waking time.Duration) {
	e := New(Config{Account: "000000000000"})
	queue := func(name string) *Queue {
		q, err := e.CreateQueue(1, Key{"r", name}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	queues := make([]*Queue, 1000)
	for i := range queues {
		queues[i] = queue(fmt.Sprint("q", i))
	}
	for i := range polls {
		if e.Receive(int64(i), &Waiter{Queue: queues[i%len(queues)], Max: 10, Wait: 20}) {
			t.Fatal("an empty queue answers")
		}
	}
	own := queue("own")
	measure := func(q func(int) *Queue) time.Duration {
		var took []time.Duration
		for i := range 2001 {
			in := &SendInput{Content: &Content{Body: "x"}, Delay: QueueDelay}
			began := time.Now()
			e.Send(int64(polls), q(i), in)
			e.Flush(int64(polls))
			took = append(took, time.Since(began))
		}
		slices.Sort(took)
		return took[len(took)/2]
	}
	quiet = measure(func(int) *Queue { return own })
	waking = measure(func(i int) *Queue { return queues[i%len(queues)] })
	if polls > 0 && len(e.TakeWoken()) != 2001 {
		t.Error("a send to a queue with polls did not wake exactly one")
	}
	return quiet, waking
}

func TestAHundredThousandPollsDoNotSlowASend(t *testing.T) {
	aloneQuiet, aloneWaking := sendTime(t, 0)
	quiet, waking := sendTime(t, 100_000)
	t.Logf("a send takes %v, with 100000 polls waiting %v; to a queue with polls %v, without %v", aloneQuiet, quiet, waking, aloneWaking)
	if quiet > 5*aloneQuiet+5*time.Microsecond || waking > 20*time.Microsecond+5*aloneWaking {
		t.Error("waiting polls slow a send")
	}
}

func TestNoMoreThanTheQuotaIsInFlight(t *testing.T) {
	for _, name := range []string{"jobs", "jobs.fifo"} {
		const limit = 1003 // not a multiple of a batch
		if e := New(Config{}); e.cfg.InFlight != 120_000 {
			t.Errorf("the quota is %d, want AWS's 120000", e.cfg.InFlight)
		}
		e := New(Config{InFlight: limit})
		attrs := map[string]string{}
		if name != "jobs" {
			attrs["FifoQueue"] = "true"
		}
		q, err := e.CreateQueue(1, Key{"r", name}, attrs, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := range limit + 1 {
			e.Send(1, q, &SendInput{Content: &Content{Body: "x", DedupID: fmt.Sprint(i)}, Delay: QueueDelay, Group: fmt.Sprint(i)})
		}
		given := 0
		for {
			w := &Waiter{Queue: q, Max: 10, Visibility: 30}
			if !e.Receive(1, w) {
				t.Fatal("parked")
			}
			if len(w.Messages) == 0 {
				if over := w.Err != nil && w.Err.Code == "OverLimit" && w.Err.Status == 403; over == q.FIFO() {
					t.Errorf("%s: over the quota a short poll gives %v", name, w.Err)
				}
				break
			}
			given += len(w.Messages)
		}
		if given != limit {
			t.Errorf("%s: %d messages in flight, want %d", name, given, limit)
		}
		if e.Receive(1, &Waiter{Queue: q, Max: 10, Wait: 20}) {
			t.Errorf("%s: over the quota a long poll does not wait", name)
		}
	}
}

func BenchmarkSendReceiveDelete(b *testing.B) {
	for _, depth := range []int{1e3, 1e6} {
		b.Run(fmt.Sprintf("depth=%d", depth), func(b *testing.B) {
			e := New(Config{})
			q, err := e.CreateQueue(1, Key{"r", "jobs"}, nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			content := &Content{Body: "x"}
			now := int64(1)
			for range depth {
				now++
				e.Send(now, q, &SendInput{Content: content, Delay: QueueDelay})
			}
			b.ReportAllocs()
			for b.Loop() {
				now++
				e.Send(now, q, &SendInput{Content: content, Delay: QueueDelay})
				w := &Waiter{Queue: q, Max: 1, Visibility: 30}
				e.Receive(now, w)
				if err := e.Delete(q, string(e.AppendReceipt(nil, &w.Messages[0]))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
