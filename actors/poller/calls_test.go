package poller_test

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

// Some services refuse a whole batch for one handle that is worth nothing any
// more; the other nine must not suffer for it.
func TestOneBadHandleDoesNotSpoilTheBatch(t *testing.T) {
	for _, op := range []string{deletes, changes} {
		t.Run(op, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newQueue(t, "tasks").start(timeout(20 * time.Second))
				r.send("m", 10)
				r.want(10)
				ds := r.bodies(10)
				var bad string
				r.wire.breakBy(only(op, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
					if bad == "" { // the fourth of the first batch
						bad = strings.Split(strings.Split(string(body), `"ReceiptHandle":"`)[4], `"`)[0]
					}
					if strings.Contains(string(body), bad) {
						return respond(400, `{"__type":"com.amazonaws.sqs#ReceiptHandleIsInvalid","message":"worn"}`), nil
					}
					return next(body)
				}))
				if op == changes {
					time.Sleep(10 * time.Minute)
					next[*poller.LeaseLost](r)
					r.quiet()
					return
				}
				for _, d := range ds {
					r.done(d)
				}
				failed := 0
				for range ds {
					if s := next[*poller.Settled](r); s.Err != nil {
						failed++
						if !errors.Is(s.Err, poller.ErrLeaseLost) {
							t.Error(s.Err)
						}
					}
				}
				if failed != 1 {
					t.Error("failed:", failed)
				}
			})
		})
	}
}

func TestAPanicInARequestIsAnErrorOfIt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 1)
		var n atomic.Int64 // the queue is looked at while a receive is under way
		r.wire.breakBy(func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if n.Add(1) <= 3 {
				panic("by the test")
			}
			return next(body)
		})
		r.want(1)
		r.done(next[*poller.Delivered](r))
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
		if s := r.poller.Stats(); s.Failures != 3 || !strings.Contains(s.LastError, "by the test") {
			t.Errorf("%+v", s)
		}
	})
}

func TestFailuresDoNotFloodTheLog(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var records atomic.Int32
		log := slog.New(counting{slog.DiscardHandler, &records})
		r := newQueue(t, "tasks").start(func(c *poller.Config) { c.Logger = log })
		r.send("m", 200)
		r.want(200)
		ds := r.bodies(200)
		r.wire.breakBy(down)
		for _, d := range ds {
			r.done(d)
		}
		time.Sleep(time.Minute)
		if n := records.Load(); n < 2 || n > 8 {
			t.Error("records in a minute:", n)
		}
		// What failed together is tried again together.
		if n := r.wire.count(deletes); n > 20*25 {
			t.Error("tries of 20 batches in a minute:", n)
		}
	})
}
