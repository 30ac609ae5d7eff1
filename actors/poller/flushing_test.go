package poller_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/actors/poller"
)

func TestFlushWaitsForAllThatWasSettledBefore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(with(func(s *poller.Settings) { s.SettleLinger = time.Second }))
		r.send("m", 3)
		r.want(3)
		ds := r.bodies(3)
		r.wire.breakBy(only(deletes, slow(time.Second)))
		r.done(ds[0])
		r.done(ds[1])
		began := time.Now()
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Flush{}, r.sub)
		next[*poller.Settled](r)
		next[*poller.Settled](r)
		next[*poller.Flushed](r)
		if d := time.Since(began); d != time.Second {
			t.Error("took", d) // no linger, one request
		}
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Flush{}, r.sub)
		next[*poller.Flushed](r) // nothing to wait for
	})
}

// A late settle of a lost lease is tried until the message's twelve hours are
// over; nothing waits for it any longer.
func TestAForgottenLateSettleHoldsUpNoFlush(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(40*time.Second), with(func(s *poller.Settings) { s.RequestTimeout = time.Minute }))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			if op == deletes {
				time.Sleep(59 * time.Second)
			}
			return unavailable()
		})
		next[*poller.LeaseLost](r)
		r.done(d)
		next[*poller.Settled](r)
		time.Sleep(13 * time.Hour)
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Flush{}, r.sub)
		synctest.Wait()
		next[*poller.Flushed](r)
	})
}
