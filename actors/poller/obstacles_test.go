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

// denied is the queue's answer to a request that the role may not make.
func denied(right string) (*http.Response, error) {
	return respond(403, `{"__type":"com.amazonaws.sqs#AccessDenied","message":"User is not authorized to perform: sqs:`+right+`"}`), nil
}

// A role that may not send has made workers try for days, with readiness OK
// (seek-oss/skuba#437, logstash-plugins/logstash-input-sqs#32).
func TestASettleThatNeedsARefusedRightIsTriedEverMoreRarely(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		q.send("m", 1)
		r := q.start()
		r.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if strings.HasPrefix(op, "SendMessage") {
				return denied("sendmessage")
			}
			return next(body)
		})
		r.want(1)
		begun := time.Now()
		sends := r.wire.count("SendMessageBatch")
		for time.Since(begun) < 24*time.Hour {
			d := next[*poller.Delivered](r)
			r.want(1)
			r.cast(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Pool: "tasks", Body: "copy"}}})
			s := next[*poller.Settled](r)
			var refused *poller.RefusedError
			if !errors.As(s.Err, &refused) || refused.Action != poller.ActionSend {
				t.Fatalf("settled with %v, want a refusal of %s", s.Err, poller.ActionSend)
			}
			if got := r.poller.Stats().Refused; len(got) != 1 || got[0].Action != poller.ActionSend || got[0].Queue != "tasks" {
				t.Fatalf("the stats have the refusals %+v", got)
			}
		}
		if n := r.wire.count("SendMessageBatch") - sends; n > 150 {
			t.Errorf("%d tries in a day", n)
		}
		r.wire.restore()
		d := next[*poller.Delivered](r)
		r.cast(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Pool: "tasks", Body: "copy"}}})
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error("the right is there again:", s.Err)
		}
		synctest.Wait()
		if got := r.poller.Stats().Refused; len(got) != 0 {
			t.Errorf("the right is there again, the stats have %+v", got)
		}
		if left := r.left(); left[0] != "1" || left[1] != "0" {
			t.Errorf("visible and in flight: %v, want the copy alone", left)
		}
	})
}

// Where a delete is refused each copy would stay along with its original.
func TestNoCopyIsSentOfAMessageThatCannotBeDeleted(t *testing.T) {
	for name, answer := range map[string]func() (*http.Response, error){
		"refused": func() (*http.Response, error) { return denied("deletemessage") },
		"away":    unavailable,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				q := newQueue(t, "tasks")
				q.send("m", 1)
				r := q.start()
				r.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
					if strings.HasPrefix(op, "DeleteMessage") {
						return answer()
					}
					return next(body)
				})
				r.want(3)
				seen := 0
				limit := time.Now().Add(poller.MaxLease - 2*time.Hour) // after an hour more the first deletes end, and one more is tried
				for time.Now().Before(limit) {
					select {
					case m := <-r.inbox:
						switch m := m.(type) {
						case *poller.Delivered:
							seen++
							r.want(1)
							r.cast(&poller.Settle{Lease: m.Lease, Send: []poller.Outgoing{{Pool: "tasks", Body: "copy"}}})
						case *poller.Settled:
							if seen > 3 && !errors.Is(m.Err, poller.ErrDeletesFail) && !errors.Is(m.Err, poller.ErrLeaseLost) {
								t.Fatalf("delivery %d is settled with %v", seen, m.Err)
							}
						}
					case <-time.After(time.Hour):
					}
				}
				left := r.left()
				t.Logf("after half a day: %d deliveries, left %v", seen, left)
				if left[0] != "0" && left[0] != "1" || seen < 5 {
					t.Errorf("%d deliveries, on the queue visible, in flight, delayed: %v", seen, left)
				}
				// Two or three go before the first delete is known to fail, and by the chance of
				// its waits one more. Without the rule each delivery has one.
				if n := r.wire.count("SendMessageBatch"); n > 5 || n > seen/2 {
					t.Errorf("%d copies of one message, of %d deliveries", n, seen)
				}
			})
		})
	}
}

// TestASettleKeepsItsLeaseUntilTheCredentialsAreRenewed: its message was hidden, and
// went to a process that knew nothing of its failures.
func TestASettleKeepsItsLeaseUntilTheCredentialsAreRenewed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		q := newQueue(t, "tasks")
		q.send("m", 1)
		r := q.start(timeout(30 * time.Second))
		var expired atomic.Bool
		r.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if expired.Load() {
				return respond(403, `{"__type":"com.amazonaws.sqs#ExpiredToken","message":"The security token included in the request is expired"}`), nil
			}
			return next(body)
		})
		r.want(1)
		d := next[*poller.Delivered](r)
		expired.Store(true)
		begun := time.Now()
		r.cast(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Pool: "tasks", Body: "copy"}}})
		time.AfterFunc(15*time.Second, func() { expired.Store(false) })
		if s := next[*poller.Settled](r); s.Err != nil || time.Since(begun) < 15*time.Second || time.Since(begun) > 25*time.Second {
			t.Errorf("settled after %v: %v", time.Since(begun), s.Err)
		}
		r.want(1)
		if d := next[*poller.Delivered](r); d.Body != "copy" {
			t.Errorf("%q came, want the copy", d.Body)
		}
	})
}
