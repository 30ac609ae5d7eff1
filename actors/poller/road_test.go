package poller_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
)

type sqsName = types.QueueAttributeName

func TestDeliveredAndDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 25)
		r.want(100)
		seen := map[string]bool{}
		for _, d := range r.bodies(25) {
			seen[d.Body] = true
			if d.ReceiveCount != 1 || d.Sent.IsZero() || d.FirstReceived.IsZero() || d.MessageID == "" {
				t.Errorf("incomplete: %+v", d)
			}
			r.done(d)
		}
		if len(seen) != 25 {
			t.Fatal("distinct:", len(seen))
		}
		for range 25 {
			if s := next[*poller.Settled](r); s.Err != nil {
				t.Fatal(s.Err)
			}
		}
		r.quiet()
		if left := r.left(); left != none {
			t.Fatal("left:", left)
		}
	})
}

func TestNoReceiveWithoutDemand(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 5)
		time.Sleep(time.Minute)
		if n := r.wire.count("ReceiveMessage"); n != 0 {
			t.Fatal("receives:", n)
		}
		r.want(2)
		r.bodies(2)
		time.Sleep(time.Minute)
		r.quiet()
		if n := r.wire.count("ReceiveMessage"); n != 1 {
			t.Fatal("receives:", n)
		}
	})
}

func TestLeaseIsExtendedUntilSettled(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(with(func(s *poller.Settings) { s.TaskTimeout = 30 * time.Second }))
		r.send("m", 3)
		r.want(10)
		ds := r.bodies(3)
		time.Sleep(10 * time.Minute)
		r.quiet()
		for _, d := range ds {
			r.done(d)
		}
		for range ds {
			if s := next[*poller.Settled](r); s.Err != nil {
				t.Fatal(s.Err)
			}
		}
		if left := r.left(); left != none {
			t.Fatal("left:", left)
		}
		if n := r.wire.count("ChangeMessageVisibilityBatch"); n < 20 || n > 50 {
			t.Errorf("%d extension requests for 3 leases in 40 half leases", n)
		}
	})
}

func TestReleaseAndItsWait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		released := time.Now()
		r.tell(&poller.Settle{Lease: d.Lease, Release: true, Visible: 42 * time.Second})
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Fatal(s.Err)
		}
		r.want(1)
		d = next[*poller.Delivered](r)
		if waited := time.Since(released); waited < 42*time.Second || waited > 44*time.Second {
			t.Error("came again after", waited)
		}
		if d.ReceiveCount != 2 {
			t.Error("receive count:", d.ReceiveCount)
		}
	})
}

func TestSettleSendsFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.tell(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Body: "copy", Attributes: d.Attributes}}})
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Fatal(s.Err)
		}
		r.want(1)
		if d := next[*poller.Delivered](r); d.Body != "copy" || d.ReceiveCount != 1 {
			t.Errorf("got %+v", d)
		}
	})
}

func TestWhatCannotBeSentIsNotDeleted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(with(func(s *poller.Settings) { s.TaskTimeout = 10 * time.Second }))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.tell(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Pool: "Not A Pool", Body: "x"}}})
		if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrQueueName) {
			t.Fatal(s.Err)
		}
		r.want(1)
		if lost := next[*poller.LeaseLost](r); !errors.Is(lost.Err, poller.ErrLeaseLost) {
			t.Fatal(lost.Err)
		}
		if d := next[*poller.Delivered](r); d.Body != "m0" || d.ReceiveCount != 2 {
			t.Errorf("got %+v", d)
		}
	})
}

func TestDrainReleasesWhatTheReceiveUnderWayBrings(t *testing.T) {
	for _, handOver := range []bool{false, true} {
		t.Run(fmt.Sprint("hand over ", handOver), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newQueue(t, "tasks").start()
				r.want(10)
				time.Sleep(time.Second) // a receive is under way
				r.system.Root.RequestWithCustomSender(r.pid, &poller.Drain{HandOver: handOver}, r.sub)
				r.quiet()
				r.send("late", 1)
				if handOver {
					d := next[*poller.Delivered](r)
					next[*poller.Drained](r)
					r.done(d)
					next[*poller.Settled](r)
				} else {
					next[*poller.Drained](r)
				}
				r.system.Root.RequestWithCustomSender(r.pid, &poller.Flush{}, r.sub)
				next[*poller.Flushed](r)
				want := [3]string{"1", "0", "0"}
				if handOver {
					want = none
				}
				if left := r.left(); left != want {
					t.Error("left:", left)
				}
				time.Sleep(time.Minute)
				if n := r.wire.count("ReceiveMessage"); n != 1 {
					t.Error("receives:", n)
				}
			})
		})
	}
}

func TestCountAndInspect(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 7)
		r.want(2)
		r.bodies(2)
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Count{}, r.sub)
		if c := next[*poller.Counted](r); c.Err != nil || c.Visible != 5 || c.InFlight != 2 {
			t.Errorf("%+v", c)
		}
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Inspect{}, r.sub)
		if s := next[*poller.Stats](r); s.Leases != 2 || s.Delivered != 2 || s.Wanted != 0 || s.OldestLease.IsZero() || s.LastSuccess.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}
