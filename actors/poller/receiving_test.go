package poller_test

import (
	"context"
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
	"github.com/sambatech/chassis/queue/localsqs"
)

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
		"no queue": func(string, []byte, func([]byte) (*http.Response, error)) (*http.Response, error) {
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
				r.wire.restore()
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
				r.cast(&poller.Settle{Lease: d.Lease, Release: true, Visible: 3 * time.Second})
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
		time.Sleep(10 * time.Minute) // a new poller receives one by one
		r.send("m", 11)
		r.want(11)
		r.bodies(10)
		r.quiet()
		if len(ids) < 3 || ids[0] != ids[1] || ids[1] != ids[2] || len(ids) > 3 && ids[3] == ids[2] {
			t.Error(ids)
		}
	})
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

// recalledLater is localsqs.WithRecall by a queue that takes a moment: what the poller
// has in its mailbox is done before the receives are over.
func recalledLater(ctx context.Context, recall <-chan struct{}) context.Context {
	later := make(chan struct{})
	go func() {
		defer close(later)
		select {
		case <-recall:
			time.Sleep(time.Millisecond)
		case <-ctx.Done():
		}
	}()
	return localsqs.WithRecall(ctx, later)
}

// TestAReleaseAfterReceives: a message that is released while this poller receives comes to it
// again, unless the release is hidden until no receive is under way.
func TestAReleaseAfterReceives(t *testing.T) {
	for name, c := range map[string]struct {
		settle poller.Settle
		recall bool
		wait   time.Duration // until the message is visible
		here   bool          // the receive under way brings it again
	}{
		"after its receives":       {poller.Settle{AfterReceives: true}, false, 21 * time.Second, false},
		"of a drain in process":    {poller.Settle{AfterReceives: true}, true, time.Second, false},
		"with a longer wait":       {poller.Settle{AfterReceives: true, Visible: time.Minute}, false, time.Minute, false},
		"at once":                  {poller.Settle{}, false, 0, true},
		"hidden, whatever is here": {poller.Settle{Visible: 5 * time.Second}, false, 5 * time.Second, true},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				r := newQueue(t, "tasks").start(func(cfg *poller.Config) {
					if c.recall {
						cfg.Recall = recalledLater
					}
				})
				r.send("m", 1)
				r.want(2)
				d := next[*poller.Delivered](r)
				time.Sleep(100 * time.Millisecond) // the second receive is under way
				began := time.Now()
				r.system.Root.RequestWithCustomSender(r.pid, &poller.Drain{HandOver: true}, &actor.PID{})
				c.settle.Lease, c.settle.Release = d.Lease, true
				r.cast(&c.settle)
				if c.here {
					// The queue can give the message to the receive before its answer to the release is here.
					got := map[string]any{}
					for range 2 {
						m := next[any](r)
						got[fmt.Sprintf("%T", m)] = m
					}
					d, _ := got["*poller.Delivered"].(*poller.Delivered)
					if d == nil || got["*poller.Settled"] == nil {
						t.Fatalf("the subscriber got %v, want one settled and one delivered", got)
					}
					if d.ReceiveCount != 2 || time.Since(began).Round(time.Second) != c.wait {
						t.Errorf("delivery %d here after %v, want the second after %v", d.ReceiveCount, time.Since(began), c.wait)
					}
					return
				}
				next[*poller.Settled](r)
				other := r.queue.start()
				other.want(1)
				if d := next[*poller.Delivered](other); d.ReceiveCount != 2 || time.Since(began).Round(time.Second) != c.wait {
					t.Errorf("delivery %d elsewhere after %v, want the second after %v", d.ReceiveCount, time.Since(began), c.wait)
				}
			})
		})
	}
}
