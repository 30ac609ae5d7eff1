package poller_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/actors/poller"
)

func timeout(d time.Duration) rigOption {
	return with(func(s *poller.Settings) { s.TaskTimeout = d })
}

// only lets a fault see one operation.
func only(op string, f fault) fault {
	return func(o string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
		if o != op {
			return next(body)
		}
		return f(o, body, next)
	}
}

func down(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
	return unavailable()
}

const (
	changes = "ChangeMessageVisibilityBatch"
	deletes = "DeleteMessageBatch"
	receive = "ReceiveMessage"
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

func TestALostLeaseSendsNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(40 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.wire.breakBy(only(changes, down))
		next[*poller.LeaseLost](r)
		r.wire.mend()
		r.tell(&poller.Settle{Lease: d.Lease, Send: []poller.Outgoing{{Body: "copy"}}})
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

// Somebody else deleted the message: SQS refuses the handle for good.
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
			t.Error("told after", after)
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
		r.wire.mend()
		time.Sleep(10 * time.Second)
		if left := r.left(); left != none {
			t.Error("left:", left)
		}
	})
}

func TestAnOutageOfReceivesEndsByItself(t *testing.T) {
	for name, f := range map[string]fault{
		"unavailable": down,
		"throttled":   func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) { return throttled() },
		"broken": func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
			return nil, io.ErrUnexpectedEOF
		},
		"garbage": func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
			return respond(200, "<html>"), nil
		},
		"no such queue": func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
			return respond(400, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"gone"}`), nil
		},
		"empty at once": func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
			return respond(200, `{}`), nil
		},
		"entries without handles": func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
			return respond(200, `{"Messages":[{"MessageId":"1"},{}]}`), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newQueue(t, "tasks").start()
				r.send("m", 5)
				r.wire.breakBy(only(receive, f))
				r.want(100)
				time.Sleep(time.Hour)
				n := r.wire.count(receive)
				if n < 100 || n > 3*3600 && name != "entries without handles" {
					t.Errorf("%d receives in an hour", n)
				}
				r.wire.mend()
				r.bodies(5)
				s := r.poller.Stats()
				if (name == "throttled") != (s.Throttles > 0) {
					t.Error("throttles:", s.Throttles)
				}
				t.Log(n, "receives;", s.LastError)
			})
		})
	}
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
		r.tell(&poller.Settle{Lease: ds[0].Lease, Send: []poller.Outgoing{{Body: ds[0].Body}}})
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
		r.tell(&poller.Settle{Lease: d.Lease, Release: true, Visible: 12 * time.Hour})
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
		r.tell(&poller.Lengthen{Lease: d.Lease, For: 10 * time.Minute})
		r.tell(&poller.Lengthen{Lease: 99, For: time.Minute})
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

// A receive whose answer came so late that little of the lease is left.
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

func TestANewSubscriberBeginsAnew(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.send("m", 3)
		r.want(3)
		r.bodies(3)
		fresh := make(chan any, 10)
		sub := r.subscriber(func(m any) { fresh <- m })
		r.tell(&poller.Subscribe{To: sub})
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

func TestDemandIsASignedSum(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.want(5)
		r.want(-5)
		r.want(-3)
		r.want(4)
		r.send("m", 10)
		next[*poller.Delivered](r)
		time.Sleep(time.Minute)
		// The receive that was under way for the first 5 is gone or took what
		// it was asked for; beyond that exactly one is wanted.
		n := 1 + len(r.inbox)
		if s := r.poller.Stats(); s.Wanted != int64(1-n) {
			t.Errorf("%d delivered, %d still wanted", n, s.Wanted)
		}
		r.want(n - 1 + 2)
		time.Sleep(time.Minute)
		if got := 1 + len(r.inbox); got != n+2 {
			t.Errorf("delivered %d, want %d", got, n+2)
		}
	})
}

func TestPauseAndResume(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(20 * time.Second))
		r.send("m", 1)
		r.want(1)
		d := next[*poller.Delivered](r)
		r.tell(&poller.Pause{})
		r.send("n", 3)
		r.want(3)
		time.Sleep(time.Hour)
		r.quiet()
		r.done(d)
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error("the lease was not kept over the pause:", s.Err)
		}
		r.tell(&poller.Resume{})
		r.bodies(3)
	})
}

func TestUnknownMessagesAreCounted(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.tell("hello")
		r.tell(&poller.Settle{Lease: 7})
		next[*poller.Settled](r)
		if n := r.poller.Stats().Unknown; n != 1 {
			t.Error(n)
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
		r.tell(&poller.Settle{Lease: ds[0].Lease, Release: true})
		if s := next[*poller.Settled](r); !errors.Is(s.Err, poller.ErrSettling) {
			t.Error(s.Err)
		}
		if s := next[*poller.Settled](r); s.Err != nil {
			t.Error(s.Err)
		}
	})
}

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

func TestTheHungReceiveOfADrainIsGivenUp(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		r.wire.hangBy(func(req *http.Request, op string) error {
			if op == receive {
				<-req.Context().Done()
				return req.Context().Err()
			}
			return nil
		})
		r.want(1)
		time.Sleep(time.Second)
		began := time.Now()
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Drain{}, r.sub)
		next[*poller.Drained](r)
		if d := time.Since(began); d != 20*time.Second {
			t.Error("took", d)
		}
		r.system.Root.RequestWithCustomSender(r.pid, &poller.Drain{}, r.sub)
		next[*poller.Drained](r)
	})
}

func TestFIFOGroupsStayInOrder(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "line.fifo").start()
		r.send("m", 30)
		r.want(30)
		var ds []*poller.Delivered // one receive may bring several of a group, in order
		for want, failed := 0, 0; want < 30; {
			if len(ds) == 0 {
				ds = append(ds, next[*poller.Delivered](r))
				synctest.Wait()
				ds = append(ds, r.bodies(len(r.inbox))...)
			}
			d := ds[0]
			ds = ds[1:]
			if d.Body != fmt.Sprint("m", want) || d.GroupID != "g" {
				t.Fatalf("got %s, want m%d", d.Body, want)
			}
			if d.ReceiveCount == 1 && len(ds) == 0 && failed < 3 { // the last of a receive fails
				failed++
				r.tell(&poller.Settle{Lease: d.Lease, Release: true, Visible: 3 * time.Second})
				if s := nextOf[*poller.Settled](r, &ds); s.Err != nil || len(ds) > 0 {
					t.Fatal(s.Err, len(ds))
				}
				r.want(1)
				continue
			}
			r.done(d)
			if s := nextOf[*poller.Settled](r, &ds); s.Err != nil {
				t.Fatal(s.Err)
			}
			want++
		}
	})
}

// A FIFO receive that failed on its way is made again with the same id, or its
// messages would block their groups until their visibility ends.
func TestAFailedFIFOReceiveIsMadeAgainWithItsId(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "line.fifo").start()
		var ids []string
		r.wire.breakBy(only(receive, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			_, id, _ := strings.Cut(string(body), `"ReceiveRequestAttemptId":"`)
			ids = append(ids, id[:36])
			if len(ids) < 3 {
				return unavailable()
			}
			return next(body)
		}))
		r.send("m", 11)
		r.want(11)
		r.bodies(10)
		r.quiet()
		if len(ids) < 3 || ids[0] != ids[1] || ids[1] != ids[2] || len(ids) > 3 && ids[3] == ids[2] {
			t.Error(ids)
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
				r.tell("what the handler panics on")
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

// nextOf returns the next T and collects deliveries that come before it.
func nextOf[T any](r *rig, ds *[]*poller.Delivered) T {
	r.t.Helper()
	for {
		switch m := (<-r.inbox).(type) {
		case T:
			return m
		case *poller.Delivered:
			*ds = append(*ds, m)
		default:
			r.t.Fatalf("got %T", m)
		}
	}
}

func TestASecondActorOfAPollerStops(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		synctest.Wait() // the poller is the one's that starts first, and a spawn does not wait for that
		gone := make(chan struct{})
		second := r.system.Root.Spawn(r.poller.Props())
		r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				c.Watch(second)
			case *actor.Terminated:
				close(gone)
			}
		}))
		<-gone
		r.send("m", 1)
		r.want(1)
		r.bodies(1)
	})
}

func TestConfigIsChecked(t *testing.T) {
	_, err := poller.New(poller.Config{Settings: poller.Settings{TaskTimeout: 1500 * time.Millisecond, MaxReceives: 1000, ReceiveWait: time.Minute}})
	for _, s := range []string{"task_timeout", "max_receives", "receive_wait", "Client", "QueueURL"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("%v does not name %s", err, s)
		}
	}
	if err := poller.DefaultSettings().Validate(); err != nil {
		t.Error(err)
	}
}

func TestSystemAttributesAndTimeoutAreAskedFor(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start(timeout(33 * time.Second))
		var in string
		r.wire.breakBy(only(receive, func(_ string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error) {
			in = string(body)
			return next(body)
		}))
		r.send("m", 1)
		r.want(7)
		r.bodies(1)
		for _, s := range []string{`"VisibilityTimeout":33`, `"WaitTimeSeconds":16`, `"MaxNumberOfMessages":7`, `"MessageAttributeNames":["All"]`,
			"ApproximateReceiveCount", "SentTimestamp", "ApproximateFirstReceiveTimestamp", "MessageGroupId", "AWSTraceHeader"} {
			if !strings.Contains(in, s) {
				t.Errorf("%s does not hold %s", in, s)
			}
		}
	})
}

func TestMessageAttributesOfAnyKindArrive(t *testing.T) {
	bubble(t, func(t *testing.T) {
		r := newQueue(t, "tasks").start()
		number, binary := "Number.int", "Binary"
		value := "42"
		if _, err := r.client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: &r.url, MessageBody: &value, MessageAttributes: map[string]types.MessageAttributeValue{
			"n": {DataType: &number, StringValue: &value}, "b": {DataType: &binary, BinaryValue: []byte{0, 255}},
		}}); err != nil {
			t.Fatal(err)
		}
		r.want(1)
		d := next[*poller.Delivered](r)
		if *d.Attributes["n"].StringValue != "42" || string(d.Attributes["b"].BinaryValue) != "\x00\xff" {
			t.Errorf("%+v", d.Attributes)
		}
	})
}

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
