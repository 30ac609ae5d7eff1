package poller_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
)

// wire is the way to the embedded queue: it counts requests by operation and
// lets a test put a fault in their way.
type wire struct {
	next  http.RoundTripper
	fault atomic.Pointer[fault]
	hang  atomic.Pointer[func(r *http.Request, op string) error]

	mu     sync.Mutex
	counts map[string]int
}

// fault handles a request in place of the queue, which it may ask by next.
type fault func(op string, body []byte, next func([]byte) (*http.Response, error)) (*http.Response, error)

func (w *wire) Do(r *http.Request) (*http.Response, error) {
	_, op, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	w.mu.Lock()
	w.counts[op]++
	w.mu.Unlock()
	if hang := w.hang.Load(); hang != nil {
		if err := (*hang)(r, op); err != nil {
			return nil, err
		}
	}
	f := w.fault.Load()
	if f == nil {
		return w.next.RoundTrip(r)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return (*f)(op, body, func(body []byte) (*http.Response, error) {
		again := r.Clone(r.Context())
		again.ContentLength = int64(len(body))
		again.Body = io.NopCloser(bytes.NewReader(body))
		return w.next.RoundTrip(again)
	})
}

func (w *wire) breakBy(f fault)                                 { w.fault.Store(&f) }
func (w *wire) hangBy(f func(r *http.Request, op string) error) { w.hang.Store(&f) }
func (w *wire) restore()                                        { w.fault.Store(nil) }

func (w *wire) count(op string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.counts[op]
}

func (w *wire) total() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.counts {
		n += c
	}
	return n
}

func respond(status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Body: io.NopCloser(strings.NewReader(body))}
}

func unavailable() (*http.Response, error) {
	return respond(503, `{"__type":"com.amazonaws.sqs#ServiceUnavailable","message":"down"}`), nil
}

func throttled() (*http.Response, error) {
	return respond(400, `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slow down"}`), nil
}

// queue is an embedded queue of one test.
type queue struct {
	t      testing.TB
	srv    *localsqs.Server
	wire   *wire
	client *sqs.Client
	name   string
	url    string

	bubbled bool // in a synctest bubble
}

func newQueue(t testing.TB, name string) *queue {
	t.Helper()
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &wire{next: srv.HTTPClient().Transport, counts: map[string]int{}}
	client, err := sqsclient.New(context.Background(), sqsclient.Settings{MaxAttempts: 1}, sqsclient.WithHTTPClient(w))
	if err != nil {
		t.Fatal(err)
	}
	q := &queue{t: t, srv: srv, wire: w, client: client, name: name, bubbled: inBubble()}
	if q.url, err = poller.EnsureQueue(context.Background(), client, name, poller.EnsureOptions{Create: true}); err != nil {
		t.Fatal(err)
	}
	return q
}

// send puts n messages with the bodies prefix0, prefix1 ... on the queue.
func (q *queue) send(prefix string, n int) {
	q.t.Helper()
	s := poller.NewSender(q.client)
	outs := make([]poller.Outgoing, n)
	for i := range outs {
		outs[i] = poller.Outgoing{Pool: q.name, Body: fmt.Sprint(prefix, i)}
		if strings.HasSuffix(q.name, ".fifo") {
			outs[i].GroupID = "g"
		}
	}
	if _, err := s.SendMany(context.Background(), outs); err != nil {
		q.t.Fatal(err)
	}
	if err := s.Close(context.Background()); err != nil {
		q.t.Fatal(err)
	}
}

// left counts the messages on the queue: visible, in flight, delayed.
func (q *queue) left() [3]string {
	q.t.Helper()
	out, err := q.client.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &q.url, AttributeNames: []sqsName{
		"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"}})
	if err != nil {
		q.t.Fatal(err)
	}
	return [3]string{out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"],
		out.Attributes["ApproximateNumberOfMessagesDelayed"]}
}

var none = [3]string{"0", "0", "0"}

// rig is a poller with a subscriber that hands every message to the test.
type rig struct {
	*queue
	system *actor.ActorSystem
	poller *poller.Poller
	pid    *actor.PID
	sub    *actor.PID
	inbox  chan any
	kill   context.CancelFunc
}

type rigOption func(*poller.Config)

func with(f func(*poller.Settings)) rigOption {
	return func(c *poller.Config) { f(&c.Settings) }
}

func (q *queue) start(opts ...rigOption) *rig {
	q.t.Helper()
	r := &rig{queue: q, inbox: make(chan any, 1<<20)}
	var ctx context.Context
	ctx, r.kill = context.WithCancel(context.Background())
	cfg := poller.Config{Client: q.client, QueueURL: q.url, Context: ctx}
	for _, opt := range opts {
		opt(&cfg)
	}
	var err error
	if r.poller, err = poller.New(cfg); err != nil {
		q.t.Fatal(err)
	}
	r.system = newSystem()
	r.sub = r.subscriber(func(m any) { r.inbox <- m })
	r.pid = r.system.Root.Spawn(r.poller.Props(actor.WithSupervisor(actor.NewOneForOneStrategy(10, 0, actor.DefaultDecider))))
	r.cast(&poller.Subscribe{To: r.sub, Batches: true})
	q.t.Cleanup(r.retire)
	return r
}

func newSystem() *actor.ActorSystem {
	return actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
}

func (r *rig) subscriber(f func(any)) *actor.PID {
	return r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case *poller.Delivered, *poller.LeaseLost, *poller.LeaseExpiring, *poller.Settled, *poller.Counted, *poller.Drained, *poller.Flushed, *poller.Stats:
			f(m)
		case *poller.Batch:
			for _, m := range m.Messages {
				f(m)
			}
		}
	}))
}

// retire stops the rig, once.
func (r *rig) retire() {
	if r.kill == nil {
		return
	}
	r.kill()
	r.kill = nil
	for _, pid := range []*actor.PID{r.pid, r.sub} {
		if err := r.system.Root.StopFuture(pid).Wait(); err != nil {
			r.t.Error("stopping:", err)
		}
	}
	r.system.Shutdown()
	if r.bubbled {
		time.Sleep(10 * time.Millisecond) // of simulated time: the dead letters' throttle ends
	}
}

func (r *rig) cast(m any)               { r.system.Root.Send(r.pid, m) }
func (r *rig) want(n int)               { r.cast(&poller.Want{Credits: n}) }
func (r *rig) done(d *poller.Delivered) { r.cast(&poller.Settle{Lease: d.Lease}) }

// next returns the next message to the subscriber, which must be a T.
func next[T any](r *rig) T {
	r.t.Helper()
	m := <-r.inbox
	v, ok := m.(T)
	if !ok {
		r.t.Fatalf("the subscriber got %T %+v, want %T", m, m, v)
	}
	return v
}

// none checks, inside a bubble, that the subscriber got nothing more.
func (r *rig) quiet() {
	r.t.Helper()
	synctest.Wait()
	select {
	case m := <-r.inbox:
		r.t.Fatalf("the subscriber got %T %+v, want nothing", m, m)
	default:
	}
}

func (r *rig) bodies(n int) (ds []*poller.Delivered) {
	r.t.Helper()
	for range n {
		ds = append(ds, next[*poller.Delivered](r))
	}
	return ds
}

// inBubble goes by the date: a bubble's clock begins with the year 2000.
func inBubble() bool { return time.Now().Year() < 2020 }

func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

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
