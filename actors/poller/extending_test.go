package poller_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

func TestALeaseThatCannotBeKeptIsLostBeforeItEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(40 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		began := time.Now()
		r.wire.breakBy(only(changes, down))
		lost := next[*poller.LeaseLost](r)
		if lost.Lease != d.Lease || !errors.Is(lost.Err, poller.ErrLeaseLost) || !strings.Contains(lost.Err.Error(), "ServiceUnavailable") {
			t.Error(lost)
		}
		if after := time.Since(began); after < 37*time.Second || after >= 40*time.Second {
			t.Error("lost after", after)
		}
		if n := r.wire.count(changes); n < 5 || n > 30 {
			t.Error("tries:", n)
		}
		// Its work is done: the late settle still deletes it, and says so.
		r.done(d)
		if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrLeaseLost) {
			t.Error(s.Err)
		}
		time.Sleep(time.Minute)
		if left := r.left(); left != none {
			t.Error("left:", left)
		}
	})
}

// Another process deleted the message: SQS refuses the handle for good.
func TestARefusedHandleIsLostAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(40 * time.Second))
		r.send("m", 2)
		r.want(2)
		r.bodies(2)
		r.wire.breakBy(only(changes, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			return refuse(body, next, true, "ReceiptHandleIsInvalid", func(id string) bool { return id == "0" })
		}))
		began := time.Now()
		next[*poller.LeaseLost](r)
		if after := time.Since(began); after > 26*time.Second {
			t.Error("noticed after", after)
		}
	})
}

func TestAHungExtensionIsGivenUpInTime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		var hung atomic.Int32
		r.wire.hangBy(func(req *http.Request, op string) error {
			if op == changes && hung.Add(1) <= 2 {
				<-req.Context().Done()
				return req.Context().Err()
			}
			return nil
		})
		time.Sleep(time.Minute)
		r.quiet()
		r.done(d)
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
		if hung.Load() < 3 {
			t.Error("extensions:", hung.Load())
		}
	})
}

func TestTheLimitOfTwelveHours(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(with(func(s *poller.Settings) { s.TaskTimeout = 10 * time.Minute }))
		r.send("m", 2)
		r.want(2)
		began := time.Now()
		ds := r.bodies(2)
		for range ds {
			e := next[*poller.LeaseExpiring](r)
			if left := time.Until(e.At); left < 4*time.Minute || left > 5*time.Minute {
				t.Error("notice:", left)
			}
			if at := e.At.Sub(began); at < 12*time.Hour-time.Minute || at > 12*time.Hour {
				t.Error("limit:", at)
			}
		}
		// The first is carried on by a fresh copy, the second is not settled.
		r.cast(&poller.Settle{Lease: ds[0].Lease, Send: []poller.Outgoing{{Body: ds[0].Body}}})
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
		lost := next[*poller.LeaseLost](r)
		if !errors.Is(lost.Err, poller.ErrLeaseLimit) || !errors.Is(lost.Err, poller.ErrLeaseLost) || lost.Lease != ds[1].Lease {
			t.Error(lost)
		}
		if left := r.left(); left != [3]string{"1", "1", "0"} {
			t.Error("just before the end:", left)
		}
		r.want(2)
		for range 2 { // no request was refused, none came late, and nothing ran twice at once
			if d := next[*poller.Delivered](r); (d.Body == ds[0].Body) != (d.ReceiveCount == 1) {
				t.Errorf("%+v", d)
			}
		}
		if s := r.poller.Stats(); s.Failures+s.EntryFailures != 0 {
			t.Errorf("%+v", s)
		}
		if held := time.Since(began); held < 12*time.Hour-15*time.Second || held > 12*time.Hour+time.Minute {
			t.Error("held for", held)
		}
	})
}

func TestAReleaseNearTheLimitStaysBelowIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(with(func(s *poller.Settings) { s.TaskTimeout = 10 * time.Minute }))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		time.Sleep(11 * time.Hour)
		r.cast(&poller.Settle{Lease: d.Lease, Release: true, Visible: 12 * time.Hour})
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
	})
}

func TestLengthen(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.cast(&poller.Lengthen{Lease: d.Lease, For: 10 * time.Minute})
		r.cast(&poller.Lengthen{Lease: 99, For: time.Minute})
		time.Sleep(time.Second)
		if n := r.wire.count(changes); n != 1 {
			t.Fatal("requests:", n)
		}
		r.wire.breakBy(only(changes, down))
		began := time.Now()
		next[*poller.LeaseLost](r)
		if after := time.Since(began); after < 9*time.Minute || after > 10*time.Minute {
			t.Error("lost after", after)
		}
	})
}

// The answer to a receive came late: little of the lease is left.
func TestALateAnswerIsExtendedBeforeItIsHandedOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.wire.breakBy(only(receive, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			resp, err := next(body)
			time.Sleep(16 * time.Second)
			return resp, err
		}))
		r.want(1)
		d := next[*poller.Delivered](r)
		if n := r.wire.count(changes); n != 1 {
			t.Error("extensions before the delivery:", n)
		}
		time.Sleep(time.Minute)
		r.done(d)
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
	})
}

func TestALateAnswerWhoseLeaseIsOverIsDropped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		first := true
		r.wire.breakBy(only(receive, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			resp, err := next(body)
			if first {
				first = false
				time.Sleep(21 * time.Second)
			}
			return resp, err
		}))
		r.want(1)
		if d := next[*poller.Delivered](r); d.ReceiveCount != 2 {
			t.Errorf("%+v", d)
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

func TestALostLeaseIsNotShownAsHeld(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(40 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.wire.breakBy(only(changes, down))
		next[*poller.LeaseLost](r)
		synctest.Wait()
		if s := r.poller.Stats(); s.Lost != 1 || s.Leases != 0 || !s.OldestLease.IsZero() {
			t.Errorf("%+v", s)
		}
		r.done(d)
		next[*poller.Settled](r)
		time.Sleep(time.Minute)
		if s := r.poller.Stats(); s.Leases != 0 || s.Deleted != 1 {
			t.Errorf("%+v", s)
		}
	})
}
