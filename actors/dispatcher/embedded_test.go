package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
	"pgregory.net/rapid"
)

// The same histories and schedules over the real poller and the embedded queue,
// in simulated time.

// embedded is a rig on the embedded queue.
type embedded struct {
	t      *testing.T
	system *actor.ActorSystem
	srv    *localsqs.Server
	client *sqs.Client
	url    string
	sender *poller.Sender

	ctl       *dispatcher.Client
	mon       *dispatcher.Monitor
	pid, pull *actor.PID
	kill      context.CancelFunc
	workers   int // 0: the default
	poller    *poller.Poller
	latency   atomic.Int64 // of each request to the queue, in ns
	requests  atomic.Int64
}

// distant is the way to the queue: it counts requests, and answers take e.latency.
type distant struct {
	e    *embedded
	next *http.Client
}

func (d *distant) Do(r *http.Request) (*http.Response, error) {
	d.e.requests.Add(1)
	if wait := time.Duration(d.e.latency.Load()); wait > 0 {
		time.Sleep(wait)
	}
	return d.next.Do(r)
}

func newEmbedded(t *testing.T, system *actor.ActorSystem) *embedded {
	t.Helper()
	return newEmbeddedOf(t, system, 0)
}

func newEmbeddedOf(t *testing.T, system *actor.ActorSystem, workers int) *embedded {
	t.Helper()
	e := &embedded{t: t, system: system, workers: workers}
	srv, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	client, err := sqsclient.New(context.Background(), sqsclient.Settings{}, sqsclient.WithHTTPClient(&distant{e, srv.HTTPClient()}))
	if err != nil {
		t.Fatal(err)
	}
	e.srv, e.client, e.sender = srv, client, poller.NewSender(client)
	for _, name := range []string{"pool_dead", "pool"} {
		if e.url, err = poller.EnsureQueue(context.Background(), client, name, poller.EnsureOptions{Create: true}); err != nil {
			t.Fatal(err)
		}
	}
	e.up()
	return e
}

func (e *embedded) up() {
	e.t.Helper()
	ctx, kill := context.WithCancel(context.Background())
	e.kill = kill
	p, err := poller.New(poller.Config{Client: e.client, QueueURL: e.url, Sender: e.sender, Context: ctx})
	if err != nil {
		e.t.Fatal(err)
	}
	e.poller = p
	e.pull = e.system.Root.Spawn(p.Props())
	e.mon = dispatcher.NewMonitor()
	props, err := dispatcher.New(dispatcher.Config{
		Settings: dispatcher.Settings{AbandonAfter: time.Second, Workers: e.workers, MaxWorkers: e.workers}, Pool: "pool", Poller: e.pull, Monitor: e.mon, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		e.t.Fatal(err)
	}
	e.pid = e.system.Root.Spawn(props)
	e.ctl = dispatcher.NewClient(e.system, e.pid)
}

// crash ends both actors and their requests without a word to the queue.
func (e *embedded) crash() {
	e.kill()
	e.system.Root.Stop(e.pull)
	synctest.Wait()
	e.system.Root.Stop(e.pid)
	synctest.Wait()
}

func (e *embedded) drain() {
	if _, err := e.ctl.Drain(context.Background(), time.Now().Add(time.Second)); err != nil {
		e.t.Error(err)
	}
	e.crash()
}

func (e *embedded) handle(name string, h task.RawHandler, policies ...task.Policy) {
	if _, err := e.ctl.Register(context.Background(), task.NewSpec(name, policies...), h); err != nil {
		e.t.Error(err)
	}
}

func (e *embedded) send(name string, args any, opts ...task.Option) {
	out, err := task.Encode(name, args, time.Now(), opts...)
	if err == nil {
		_, err = e.sender.Send(context.Background(), poller.Outgoing{Pool: "pool", Body: out.Body, Attributes: out.Attributes, Delay: out.Delay})
	}
	if err != nil {
		e.t.Error(err)
	}
}

func (e *embedded) left() int {
	out, err := e.client.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &e.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll}})
	if err != nil {
		e.t.Error(err)
		return -1
	}
	n := 0
	for _, name := range []string{"", "NotVisible", "Delayed"} {
		var k int
		if _, err := fmt.Sscan(out.Attributes["ApproximateNumberOfMessages"+name], &k); err != nil {
			e.t.Error(err)
		}
		n += k
	}
	return n
}

// dead takes the dead letters.
func (e *embedded) dead() (list []task.Message) {
	url, err := e.client.GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: aws.String("pool_dead")})
	if err != nil {
		e.t.Error(err)
		return nil
	}
	for {
		out, err := e.client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: url.QueueUrl, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}, WaitTimeSeconds: 1})
		if err != nil {
			e.t.Error(err)
		}
		if err != nil || len(out.Messages) == 0 {
			return list
		}
		for _, m := range out.Messages {
			msg, err := task.Decode(*m.Body, m.MessageAttributes)
			if err != nil {
				e.t.Error(err)
			}
			list = append(list, msg)
		}
	}
}

func (e *embedded) down() {
	e.crash()
	if err := e.sender.Close(context.Background()); err != nil {
		e.t.Error(err)
	}
	if err := e.srv.Close(); err != nil {
		e.t.Error(err)
	}
	synctest.Wait()
}

// TestBudgetAgainstModelOnTheEmbeddedQueue is TestBudgetAgainstModel with
// nothing scripted.
func TestBudgetAgainstModelOnTheEmbeddedQueue(t *testing.T) {
	played, batch := 0, sized(10, 2, 1) // rapid draws 100 batches
	rapid.Check(t, func(rt *rapid.T) {
		list := rapid.SliceOfN(histories(), batch, batch).Draw(rt, "histories")
		played += len(list)
		problem := ""
		synctest.Test(t, func(t *testing.T) {
			system := newSystem()
			for _, h := range list {
				// Each long poll of an idle hour is made: so there are few of them.
				h.ahead, h.wait.Base = min(h.ahead, 10*time.Minute), min(h.wait.Base, time.Minute)
				for i := range h.steps {
					h.steps[i].wait = min(h.steps[i].wait, 20*time.Minute)
				}
				e := newEmbedded(t, system)
				p := &player{history: h, rig: e, idle: 5 * time.Minute, ask: make(chan act), free: make(chan struct{})}
				if problem = p.run(); problem != "" {
					problem = fmt.Sprintf("%s\nhistory: %+v", problem, h)
				}
				close(p.free)
				e.down()
			}
			shutdown(system)
		})
		if problem != "" {
			rt.Fatal(problem)
		}
	})
	t.Logf("%d histories", played)
}

// TestScheduledFarAheadOnTheEmbeddedQueue: a task with max failures 1 runs on
// the second, however far ahead, after hundreds of restarts: every twelve hours
// the service is up for some minutes, and then killed.
func TestScheduledFarAheadOnTheEmbeddedQueue(t *testing.T) {
	days := sized(4000, 400, 60)
	synctest.Test(t, func(t *testing.T) {
		system := newSystem()
		e := newEmbedded(t, system)
		runs := make(chan time.Time, 10)
		register := func() {
			e.handle("t", func(context.Context, raw) error { runs <- time.Now(); return nil }, task.MaxFailures(1), task.Window(0))
		}
		register()
		when := time.Now().Truncate(time.Second).Add(time.Duration(days)*24*time.Hour + 7*time.Minute)
		e.send("t", nil, task.At(when))
		restarts := 0
		for time.Until(when) > 12*time.Hour {
			time.Sleep(5 * time.Minute)
			e.crash()
			restarts++
			time.Sleep(11*time.Hour + 50*time.Minute)
			e.up()
			register()
		}
		time.Sleep(time.Until(when) + time.Minute)
		synctest.Wait()
		if len(runs) != 1 || len(e.dead()) != 0 {
			t.Errorf("%d runs, %d left on the queue", len(runs), e.left())
		} else if late := (<-runs).Sub(when); late < 0 || late >= 2*time.Second {
			t.Errorf("ran %v after its time", late)
		} else {
			t.Logf("%d days ahead, %d restarts: ran %v after its time", days, restarts, late)
		}
		e.down()
		shutdown(system)
	})
}
