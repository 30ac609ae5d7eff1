package pools

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/internal/life"
	"github.com/sambatech/chassis/queue"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// road is the way to the embedded queue, on which things can go wrong.
type road struct {
	next        sqsclient.Doer
	denied, cut atomic.Bool
}

func (f *road) Do(r *http.Request) (*http.Response, error) {
	switch {
	case f.cut.Load():
		return nil, errors.New("dial tcp: connection refused")
	case f.denied.Load(): // what AWS answers to credentials that were taken away
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"application/x-amz-json-1.0"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"__type":"com.amazon.coral.service#UnrecognizedClientException","message":"The security token included in the request is invalid."}`))}, nil
	}
	return f.next.Do(r)
}

// probed is a pool in a bubble with the state of its service, and with the faults
// that it can have.
type probed struct {
	t      *testing.T
	pools  *Pools
	system *actor.ActorSystem
	state  life.State
	way    *road
	block  chan struct{} // what is stuck, or slow, waits for
}

func newProbed(t *testing.T) *probed {
	server, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &probed{t: t, way: &road{next: server.HTTPClient()}, block: make(chan struct{})}
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(p.way))
	if err != nil {
		t.Fatal(err)
	}
	q, err := queue.Open(t.Context(), queue.Settings{}, queue.WithClient(client))
	if err != nil {
		t.Fatal(err)
	}
	set, halted := DefaultSettings(), context.Background()
	set.TaskPool = "test-tasks"
	discard := slog.New(slog.DiscardHandler)
	p.pools = New(Config{Settings: set, Queue: q, Logger: func(string) *slog.Logger { return discard }, Halted: halted})
	slow := task.Define[any]("slow")
	p.pools.Register(&dispatcher.Register{Spec: slow.Spec(),
		Handler: task.Erase(func(context.Context, task.Job[any]) error { <-p.block; return nil })})
	p.system = actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return discard }))
	t.Cleanup(func() {
		p.way.cut.Store(false)
		p.way.denied.Store(false)
		p.release()
		_ = p.pools.Stop(context.Background()) // after a fault it may well end with an error
		_ = p.pools.Sender().Close(context.Background())
		p.pools.Close()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // on the bubble's clock: timers of what was broken run out
	})
	return p
}

func (p *probed) start() {
	p.t.Helper()
	props := func(p *actor.Props) *actor.Props { return p }
	if err := p.pools.Start(p.t.Context(), life.New(life.Config{System: p.system, Props: props})); err != nil {
		p.t.Fatal(err)
	}
	p.state = life.Running
}

func (p *probed) release() {
	select {
	case <-p.block:
	default:
		close(p.block)
	}
}

func (p *probed) running() *running { return p.pools.main().running.Load() }

// stick puts an actor before the dispatcher that is stuck in a message until
// release: no code of a user's can get the dispatcher itself into that.
func (p *probed) stick() {
	whole := p.running()
	front := &running{queue: whole.queue, poller: whole.poller, dispatcher: whole.dispatcher}
	stuck := p.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(actor.AutoReceiveMessage); !ok {
			<-p.block
			c.Send(whole.dispatcher, c.Message())
		}
	}))
	p.t.Cleanup(func() { p.system.Root.Stop(stuck) })
	front.client = dispatcher.NewClient(p.system, stuck)
	p.pools.main().running.Store(front)
	p.t.Cleanup(func() { p.pools.main().running.Store(whole) }) // before the stop
}

// cutOff takes the poller off the registry: nothing reaches it any more.
func (p *probed) cutOff() {
	pid := p.running().poller
	process, _ := p.system.ProcessRegistry.Get(pid)
	p.system.ProcessRegistry.Remove(pid)
	p.t.Cleanup(func() { p.system.ProcessRegistry.Add(process, pid.Id) }) // so that it can be stopped
}

func (p *probed) send(name string) {
	if _, err := p.pools.Send(p.t.Context(), name, nil); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait()
}

// check compares the answers with what they should be.
func (p *probed) check(when string, alive, ready bool, reason string) {
	p.t.Helper()
	begun := time.Now()
	if a := p.pools.Alive(p.t.Context(), p.state); (a.Actors == OK) != alive {
		p.t.Errorf("%s: alive is %+v, want %v", when, a, alive)
	}
	r := p.pools.Ready(p.t.Context(), p.state)
	if r.OK() != ready {
		p.t.Errorf("%s: ready is %+v, want %v", when, r, ready)
	}
	if has := func(why string) bool { return strings.Contains(why, reason) }; reason != "" && !slices.ContainsFunc(r.Reasons, has) {
		p.t.Errorf("%s: the reasons are %q, want %q", when, r.Reasons, reason)
	}
	if took := time.Since(begun); took > 30*time.Second {
		p.t.Errorf("%s: the answers took %v", when, took)
	}
}

// What the probes answer with each fault, on real actors and an embedded queue.
func TestProbesOverATableOfFaults(t *testing.T) {
	for _, c := range []struct {
		name         string
		fault        func(p *probed)
		after        time.Duration // from the fault to the look, on a simulated clock
		alive, ready bool
		reason       string
		repair       func(p *probed) // nil: there is no way back
	}{
		{name: "none", fault: func(*probed) {}, after: time.Hour, alive: true, ready: true},
		{name: "busy for hours", fault: func(p *probed) {
			for range p.pools.cfg.Settings.MaxWorkers + 1 {
				p.send("slow")
			}
		}, after: 3 * time.Hour, alive: true, ready: true, reason: "tasks without a Deadline hold them all"},
		{name: "paused by an operator", fault: func(p *probed) {
			if err := p.pools.Control().Pause(p.t.Context(), ""); err != nil {
				p.t.Fatal(err)
			}
		}, after: time.Hour, alive: true, ready: true},
		{name: "queue gone", fault: func(p *probed) {
			client := p.pools.cfg.Queue.Client
			out, err := client.GetQueueUrl(p.t.Context(), &sqs.GetQueueUrlInput{QueueName: &p.pools.cfg.Settings.TaskPool})
			if err == nil {
				_, err = client.DeleteQueue(p.t.Context(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
			}
			if err != nil {
				p.t.Fatal(err)
			}
		}, after: 2 * time.Minute, alive: true, ready: false, reason: "the queue test-tasks does not exist"},
		{name: "credentials gone", fault: func(p *probed) { p.way.denied.Store(true) },
			after: time.Minute, alive: true, ready: false, reason: "security token", repair: func(p *probed) { p.way.denied.Store(false) }},
		{name: "network gone", fault: func(p *probed) { p.way.cut.Store(true) },
			after: time.Minute, alive: true, ready: false, reason: "connection refused", repair: func(p *probed) { p.way.cut.Store(false) }},
		{name: "consumer stuck for 15 s", fault: func(p *probed) { p.stick(); p.check("at once", true, true, "") },
			after: 15 * time.Second, alive: true, ready: false, reason: "the dispatcher has not answered for 1", repair: (*probed).release},
		{name: "consumer stuck for 40 s", fault: func(p *probed) { p.stick(); p.check("at once", true, true, "") },
			after: 40 * time.Second, alive: false, ready: false, reason: "the dispatcher has not answered for 4", repair: (*probed).release},
		{name: "poller stopped", fault: func(p *probed) { p.system.Root.Stop(p.running().poller) },
			after: time.Minute, alive: true, ready: true},
		{name: "dispatcher stopped", fault: func(p *probed) { p.system.Root.Stop(p.running().dispatcher) },
			after: time.Minute, alive: true, ready: true},
		{name: "poller cut off", fault: (*probed).cutOff,
			after: time.Minute, alive: false, ready: false, reason: "the poller has given no sign of life"},
		{name: "draining", fault: func(p *probed) {
			p.send("slow")
			p.state = life.Stopping
			go func() { _ = p.pools.Stop(context.Background()) }() // its error is another test's
			synctest.Wait()
		}, after: 10 * time.Second, alive: true, ready: false, reason: "draining"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbed(t)
				p.check("before the start", true, false, "the service is created")
				p.start()
				p.check("started", true, true, "")
				c.fault(p)
				time.Sleep(c.after) // on the bubble's clock
				p.check(c.name, c.alive, c.ready, c.reason)
				if c.repair != nil {
					c.repair(p)
					time.Sleep(2 * time.Minute)
					p.check("repaired", true, true, "")
				}
			})
		})
	}
}
