package poller_test

import (
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/poller"
)

// A message that waits for its first extension goes to who subscribes meanwhile,
// and counts there.
func TestWhatIsHeldBackCountsForTheNewSubscriber(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.wire.breakBy(func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			resp, err := next(body)
			switch op {
			case receive:
				time.Sleep(16 * time.Second)
			case changes:
				time.Sleep(100 * time.Millisecond)
			}
			return resp, err
		})
		r.want(1)
		time.Sleep(16*time.Second + 50*time.Millisecond)
		fresh := make(chan any, 10)
		r.tell(&poller.Subscribe{To: r.subscriber(func(m any) { fresh <- m }), Epoch: 7})
		if d, ok := (<-fresh).(*poller.Delivered); !ok || d.Epoch != 7 {
			t.Errorf("%+v", d)
		}
		synctest.Wait()
		if s := r.poller.Stats(); s.Wanted != -1 {
			t.Errorf("%d wanted: the subscriber counts one message and no credit", s.Wanted)
		}
	})
}

// A client may be slow to heed the end of its request's ctx, or deaf to it.
func TestADrainGivesAReceiveUpOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var records atomic.Int32
		r := newQueue(t, "tasks").start(func(c *poller.Config) { c.Logger = slog.New(counting{n: &records}) })
		free := make(chan struct{})
		r.wire.hangBy(func(req *http.Request, op string) error {
			if op == receive {
				<-free
			}
			return nil
		})
		r.want(1)
		synctest.Wait()
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Drain{}, r.sub)
		time.AfterFunc(21*time.Second, func() { close(free) })
		next[*poller.Drained](r)
		if n := records.Load(); n > 3 {
			t.Errorf("%d records", n)
		}
	})
}

// A late settle of a lost lease is tried until the message's twelve hours are
// over; nobody waits for it beyond.
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

func TestABatchToAQueueThatIsMadeAnew(t *testing.T) {
	q := newQueue(t, "tasks")
	s := q.sender(poller.SenderEnsure(func(string) poller.EnsureOptions { return poller.EnsureOptions{Create: true} }))
	for range 2 {
		if _, err := s.SendMany(t.Context(), outgoings("tasks", 10)); err != nil {
			t.Fatal(err)
		}
		if _, err := q.client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &q.url}); err != nil {
			t.Fatal(err)
		}
	}
	none := q.sender()
	if _, err := none.SendMany(t.Context(), outgoings("tasks", 2)); err == nil || !strings.Contains(err.Error(), "2 of 2") || none.Stats().Requests != 0 {
		t.Errorf("%v, %+v", err, none.Stats())
	}
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
