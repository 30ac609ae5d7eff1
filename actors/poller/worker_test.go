package poller_test

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/poller"
)

func TestANewSubscriberStartsOver(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 3)
		r.want(3)
		r.bodies(3)
		fresh := make(chan any, 10)
		sub := r.subscriber(func(m any) { fresh <- m })
		r.cast(&poller.Subscribe{To: sub})
		time.Sleep(time.Second)
		if left := r.left(); left != [3]string{"3", "0", "0"} {
			t.Error("left:", left)
		}
		r.want(3)
		for range 3 {
			if d, ok := (<-fresh).(*poller.Delivered); !ok || d.ReceiveCount != 2 {
				t.Errorf("%+v", d)
			}
		}
		if err := r.system.Root.StopFuture(sub).Wait(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if left := r.left(); left != [3]string{"3", "0", "0"} {
			t.Error("after the subscriber's death:", left)
		}
		r.want(5)
		time.Sleep(time.Minute)
		r.quiet()
	})
}

// TestWhatAnAnswerBringsIsOneMessage, if the subscriber takes it so: ten messages of a
// receive, and the ends of ten deletes.
func TestWhatAnAnswerBringsIsOneMessage(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		var got []string
		ids := make(chan poller.LeaseID, 10)
		sub := r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *poller.Batch:
				got = append(got, fmt.Sprintf("%d of %T", len(m.Messages), m.Messages[0]))
				for _, m := range m.Messages {
					if d, ok := m.(*poller.Delivered); ok {
						ids <- d.Lease
					}
				}
			case *poller.Delivered, *poller.Settled:
				got = append(got, fmt.Sprintf("%T", m))
			}
		}))
		r.cast(&poller.Subscribe{To: sub, Batches: true})
		r.send("m", 10)
		r.want(10)
		for range 10 {
			r.cast(&poller.Settle{Lease: <-ids})
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if want := []string{"10 of *poller.Delivered", "10 of *poller.Settled"}; !slices.Equal(got, want) {
			t.Errorf("the subscriber got %q, want %q", got, want)
		}
		if err := r.system.Root.StopFuture(sub).Wait(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.cast(&poller.Pause{})
		r.send("n", 3)
		r.want(3)
		time.Sleep(time.Hour)
		r.quiet()
		r.done(d)
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error("the lease was not kept over the pause:", s.Err)
		}
		r.cast(&poller.Resume{})
		r.bodies(3)
	})
}

func TestUnknownMessagesAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.cast("hello")
		r.cast(&poller.Settle{Lease: 7})
		next[*poller.Settled](r)
		if n := r.poller.Stats().Unknown; n != 1 {
			t.Error(n)
		}
	})
}

func TestARestartKeepsLeasesAndDemand(t *testing.T) {
	for times := range 3 {
		t.Run(fmt.Sprint(times, " panics"), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				var n atomic.Int32
				n.Store(int32(times))
				log := slog.New(&panicky{slog.DiscardHandler, "unknown message", &n})
				r := newQueue(t, "tasks").start(timeout(20*time.Second), func(c *poller.Config) { c.Logger = log })
				r.send("m", 30)
				r.want(20)
				ds := r.bodies(20)
				for _, d := range ds[:9] {
					r.done(d)
				}
				r.cast("what the handler panics on")
				r.want(5)
				r.done(ds[9])
				for range 10 {
					if s := nextOf[*poller.Settled](r, &ds); s.Err != nil {
						t.Error(s.Err)
					}
				}
				time.Sleep(time.Minute)
				for len(r.inbox) > 0 {
					ds = append(ds, next[*poller.Delivered](r))
				}
				if len(ds) != 25 {
					t.Fatal("delivered:", len(ds))
				}
				for _, d := range ds[10:] {
					r.done(d)
				}
				for range 15 {
					if s := next[*poller.Settled](r); s.Err != nil {
						t.Error(s.Err)
					}
				}
				s := r.poller.Stats()
				if s.Restarts != int64(times) || s.Wanted != 0 {
					t.Errorf("%d restarts, %d wanted", s.Restarts, s.Wanted)
				}
				if left := r.left(); left != [3]string{"5", "0", "0"} {
					t.Error("left:", left)
				}
			})
		})
	}
}

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
		r.cast(&poller.Subscribe{To: r.subscriber(func(m any) { fresh <- m }), Epoch: 7})
		if d, ok := (<-fresh).(*poller.Delivered); !ok || d.Epoch != 7 {
			t.Errorf("%+v", d)
		}
		synctest.Wait()
		if s := r.poller.Stats(); s.Wanted != -1 {
			t.Errorf("%d wanted: the subscriber counts one message and no credit", s.Wanted)
		}
	})
}

// panicky is a log handler that panics where the test says so: what a user can
// bring into the actor.
type panicky struct {
	slog.Handler
	on string
	n  *atomic.Int32
}
