package poller_test

import (
	"errors"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

func TestALostLeaseSendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(40 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.wire.breakBy(only(changes, down))
		next[*poller.LeaseLost](r)
		r.wire.restore()
		r.cast(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Body: "copy"}}})
		if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrLeaseLost) {
			t.Error(s.Err)
		}
		time.Sleep(time.Minute)
		if left := r.left(); left != [3]string{"1", "0", "0"} {
			t.Error("left:", left)
		}
		r.done(d)
		if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrLeaseLost) {
			t.Error("a lease that is unknown:", s.Err)
		}
	})
}

func TestPartialFailuresAreTriedAgainWhileTheLeaseHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 20)
		r.want(20)
		ds := r.bodies(20)
		r.wire.breakBy(only(deletes, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			return refuse(body, next, false, "InternalError", func(id string) bool { return id == "3" && r.wire.count(deletes) < 6 })
		}))
		for _, d := range ds {
			r.done(d)
		}
		for range ds {
			if s := next[*poller.Settled](r); s.Err != nil {
				t.Error(s.Err)
			}
		}
		if left := r.left(); left != none {
			t.Error("left:", left)
		}
	})
}

// The queue is away for longer than a lease lasts; a message that was done is
// deleted as soon as it is back, before anyone else gets it.
func TestDeletesOutlastAnOutage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(30 * time.Second))
		r.send("m", 15)
		r.want(15)
		ds := r.bodies(15)
		r.wire.breakBy(down)
		for _, d := range ds {
			r.done(d)
		}
		time.Sleep(20 * time.Second)
		r.quiet() // the leases hold: nothing is lost yet
		time.Sleep(5 * time.Minute)
		for range ds {
			if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrLeaseLost) {
				t.Error(s.Err)
			}
		}
		r.wire.restore()
		time.Sleep(10 * time.Second)
		if left := r.left(); left != none {
			t.Error("left:", left)
		}
	})
}

func TestSettlingTwice(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 2)
		r.want(2)
		ds := r.bodies(2)
		r.done(ds[0])
		r.cast(&poller.Settle{Lease: ds[0].Lease, Release: true})
		if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrSettling) {
			t.Error(s.Err)
		}
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
	})
}

// A delete was carried out but its answer lost; the extension that comes before
// the next try finds no message. That is no lost lease: the task is done.
func TestALostAnswerToADeleteIsNoLostLease(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		time.Sleep(12*time.Second + 300*time.Millisecond)
		first := true
		r.wire.breakBy(only(deletes, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			resp, err := next(body)
			if first {
				first = false
				time.Sleep(5 * time.Second) // over the time of the extension
				return nil, io.ErrUnexpectedEOF
			}
			return resp, err
		}))
		r.done(d)
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
		if n := r.wire.count(changes); n != 1 {
			t.Error("extensions:", n)
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
		r.cast(&poller.Settle{Lease: d.Lease, Release: true, Visible: 42 * time.Second})
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
		r.cast(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Body: "copy", Attributes: d.Attributes}}})
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
		r.cast(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Pool: "Not A Pool", Body: "x"}}})
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
