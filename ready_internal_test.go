package chassis

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/settings/watch"
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

// probed is a system in a bubble whose probes are asked, with what can befall it.
type probed struct {
	t     *testing.T
	sys   *System
	way   *road
	front http.Handler
	block chan struct{} // what is stuck, or slow, waits for
}

func newProbed(t *testing.T) *probed {
	queue, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	p := &probed{t: t, way: &road{next: queue.HTTPClient()}, block: make(chan struct{})}
	client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(p.way))
	if err != nil {
		t.Fatal(err)
	}
	s := DefaultSettings()
	s.Tasks.TaskPool = "test-tasks"
	p.sys, err = New("test", WithSettings(s), WithSQS(client), WithoutDefaultLogger(), WithLogOutput(io.Discard),
		WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	Handle(p.sys, task.Define[any]("slow"), func(context.Context, task.Job[any]) error { <-p.block; return nil })
	server, err := admin.New(p.sys.console.config())
	if err != nil {
		t.Fatal(err)
	}
	p.front = server.Handler()
	t.Cleanup(func() {
		p.way.cut.Store(false)
		p.way.denied.Store(false)
		p.release()
		_ = p.sys.Stop(context.Background()) // after a fault it may well end with an error
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := queue.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute) // on the bubble's clock: timers of what was broken run out
	})
	return p
}

func (p *probed) release() {
	select {
	case <-p.block:
	default:
		close(p.block)
	}
}

// stick puts an actor before the dispatcher that is stuck in a message until
// release: no code of a user's can get the dispatcher itself into that.
func (p *probed) stick() {
	whole := p.sys.tasks.main().running.Load()
	front := *whole
	stuck := p.sys.Actors().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(actor.AutoReceiveMessage); !ok {
			<-p.block
			c.Send(whole.dispatcher, c.Message())
		}
	}))
	p.t.Cleanup(func() { p.sys.Actors().Root.Stop(stuck) })
	front.client = dispatcher.NewClient(p.sys.Actors(), stuck)
	p.sys.tasks.main().running.Store(&front)
	p.t.Cleanup(func() { p.sys.tasks.main().running.Store(whole) }) // before the stop
}

// cutOff takes the poller off the registry: nothing reaches it any more.
func (p *probed) cutOff() {
	pid := p.sys.tasks.main().actors().poller
	process, _ := p.sys.Actors().ProcessRegistry.Get(pid)
	p.sys.Actors().ProcessRegistry.Remove(pid)
	p.t.Cleanup(func() {
		process.SendUserMessage(pid, &poller.Drain{})
		process.SendUserMessage(pid, &actor.PoisonPill{})
	})
}

func (p *probed) send(name string) {
	if _, err := p.sys.Send(p.t.Context(), name, nil); err != nil {
		p.t.Fatal(err)
	}
	synctest.Wait()
}

// check holds the three probes against what they should say.
func (p *probed) check(when string, live, ready, startup int, reason string) {
	p.t.Helper()
	for _, c := range []struct {
		path string
		want int
	}{{"/livez", live}, {"/readyz", ready}, {"/startupz", startup}} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = "localhost"
		w, begun := httptest.NewRecorder(), time.Now()
		p.front.ServeHTTP(w, r)
		if w.Code != c.want {
			p.t.Errorf("%s: %s is %d, want %d: %s", when, c.path, w.Code, c.want, w.Body)
		}
		if c.path == "/readyz" && !strings.Contains(w.Body.String(), reason) {
			p.t.Errorf("%s: the reason is %s, want %q", when, w.Body, reason)
		}
		if took := time.Since(begun); took > 30*time.Second {
			p.t.Errorf("%s: %s took %v", when, c.path, took)
		}
	}
}

// TestProbesOverATableOfFaults says what each probe answers when this or that is
// gone, on a real system and its embedded queue.
func TestProbesOverATableOfFaults(t *testing.T) {
	for _, c := range []struct {
		name                 string
		fault                func(p *probed)
		after                time.Duration // from the fault to the look, on a simulated clock
		live, ready, startup int
		reason               string
		mend                 func(p *probed) // nil: there is no way back
	}{
		{name: "none", fault: func(*probed) {}, after: time.Hour, live: 200, ready: 200, startup: 200},
		{name: "busy for hours", fault: func(p *probed) {
			for range p.sys.settings.Tasks.MaxWorkers + 1 {
				p.send("slow")
			}
		}, after: 3 * time.Hour, live: 200, ready: 200, startup: 200, reason: "tasks without a Deadline hold them all"},
		{name: "paused by an operator", fault: func(p *probed) {
			if err := p.sys.Control().Pause(p.t.Context(), ""); err != nil {
				p.t.Fatal(err)
			}
		}, after: time.Hour, live: 200, ready: 200, startup: 200},
		{name: "queue gone", fault: func(p *probed) {
			out, err := p.sys.SQS().GetQueueUrl(p.t.Context(), &sqs.GetQueueUrlInput{QueueName: &p.sys.settings.Tasks.TaskPool})
			if err == nil {
				_, err = p.sys.SQS().DeleteQueue(p.t.Context(), &sqs.DeleteQueueInput{QueueUrl: out.QueueUrl})
			}
			if err != nil {
				p.t.Fatal(err)
			}
		}, after: 2 * time.Minute, live: 200, ready: 503, startup: 200, reason: "the queue test-tasks does not exist"},
		{name: "credentials gone", fault: func(p *probed) { p.way.denied.Store(true) },
			after: time.Minute, live: 200, ready: 503, startup: 200, reason: "security token", mend: func(p *probed) { p.way.denied.Store(false) }},
		{name: "network gone", fault: func(p *probed) { p.way.cut.Store(true) },
			after: time.Minute, live: 200, ready: 503, startup: 200, reason: "connection refused", mend: func(p *probed) { p.way.cut.Store(false) }},
		{name: "consumer stuck for 15 s", fault: func(p *probed) { p.stick(); p.check("at once", 200, 200, 200, "") },
			after: 15 * time.Second, live: 200, ready: 503, startup: 200, reason: "the dispatcher has not answered for 1", mend: (*probed).release},
		{name: "consumer stuck for 40 s", fault: func(p *probed) { p.stick(); p.check("at once", 200, 200, 200, "") },
			after: 40 * time.Second, live: 503, ready: 503, startup: 200, reason: "the dispatcher has not answered for 4", mend: (*probed).release},
		{name: "poller stopped", fault: func(p *probed) { p.sys.Actors().Root.Stop(p.sys.tasks.main().actors().poller) },
			after: time.Minute, live: 200, ready: 200, startup: 200},
		{name: "dispatcher stopped", fault: func(p *probed) { p.sys.Actors().Root.Stop(p.sys.tasks.main().actors().dispatcher) },
			after: time.Minute, live: 200, ready: 200, startup: 200},
		{name: "poller cut off", fault: (*probed).cutOff,
			after: time.Minute, live: 503, ready: 503, startup: 200, reason: "the poller has given no sign of life"},
		{name: "draining", fault: func(p *probed) {
			p.send("slow")
			go func() { _ = p.sys.Stop(context.Background()) }() // its error is another test's
			synctest.Wait()
		}, after: 10 * time.Second, live: 200, ready: 503, startup: 200, reason: "draining"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbed(t)
				p.check("before the start", 200, 503, 503, "the service is created")
				if err := p.sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.check("started", 200, 200, 200, "")
				c.fault(p)
				time.Sleep(c.after) // on the bubble's clock
				p.check(c.name, c.live, c.ready, c.startup, c.reason)
				if c.mend != nil {
					c.mend(p)
					time.Sleep(2 * time.Minute)
					p.check("mended", 200, 200, 200, "")
				}
			})
		})
	}
}

// TestNoReplacementOutlivesTheStop: as of a supervisor that reports its drain while
// the worker that it has just replaced lives on, garrytan/gbrain#2921.
func TestNoReplacementOutlivesTheStop(t *testing.T) {
	for _, when := range []string{"before", "meanwhile"} {
		t.Run(when, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newProbed(t)
				if err := p.sys.Start(t.Context()); err != nil {
					t.Fatal(err)
				}
				r := p.sys.tasks.main().actors()
				kill := func() {
					p.sys.Actors().Root.Stop(r.dispatcher)
					p.sys.Actors().Root.Stop(r.poller)
				}
				if when == "before" {
					kill()
				} else {
					p.send("slow")
					time.AfterFunc(5*time.Second, kill)
				}
				begun := time.Now()
				err := p.sys.Stop(context.Background())
				if took := time.Since(begun); took > time.Minute {
					t.Errorf("the stop took %v: %v", took, err)
				}
				synctest.Wait()
				for _, pid := range []*actor.PID{r.dispatcher, r.poller} {
					if _, alive := p.sys.Actors().ProcessRegistry.GetLocal(pid.Id); alive {
						t.Errorf("%s lives on after the stop (%v)", pid.Id, err)
					}
				}
			})
		})
	}
}

// unending is a source of settings with a load that does not end, as where a
// Validate of the service's own waits for a lock.
type unending struct {
	source
	free chan struct{}
}

func (u unending) Follow(func(context.Context, watch.Reload[Settings])) (func(context.Context) error, error) {
	return func(ctx context.Context) error {
		select {
		case <-u.free:
			return nil
		case <-ctx.Done():
			return errors.New("the load that is under way did not end")
		}
	}, nil
}

func TestAStopWaitedForEverForALoadOfTheSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newProbed(t)
		free := make(chan struct{})
		p.sys.source = unending{p.sys.source, free}
		if err := p.sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		err := p.sys.Stop(context.Background())
		if err == nil || !strings.Contains(err.Error(), "settings: the load that is under way did not end") || time.Since(begun) > 30*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
		close(free)
	})
}
