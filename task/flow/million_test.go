package flow_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/flow"
)

// cable is the way of a process to its queue. Once it is cut nothing comes through, in
// neither direction: for the queue that is a kill -9.
type cable struct {
	way http.RoundTripper
	cut atomic.Bool
}

var errCut = errors.New("the process is dead")

func (c *cable) RoundTrip(r *http.Request) (*http.Response, error) {
	if c.cut.Load() {
		return nil, errCut
	}
	res, err := c.way.RoundTrip(r)
	if c.cut.Load() && err == nil {
		_ = res.Body.Close()
		return nil, errCut
	}
	return res, err
}

// fleet is processes on one queue.
type fleet struct {
	t       *testing.T
	server  *localsqs.Server
	handle  func(*chassis.System)
	dying   sync.WaitGroup
	running []*process
}

// doomed is a process that is killed when so many members have ended.
type doomed struct {
	process *process
	at      int64
}

type process struct {
	sys   *chassis.System
	flows *flow.Flows
	cable *cable
}

func (f *fleet) start() *process {
	f.t.Helper()
	p := &process{cable: &cable{way: f.server.HTTPClient().Transport}}
	client, err := sqsclient.New(f.t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(&http.Client{Transport: p.cable}))
	if err != nil {
		f.t.Fatal(err)
	}
	set := chassis.DefaultSettings()
	set.Log.Level = "error"
	set.Tasks.TaskPool, set.Tasks.Workers, set.Tasks.MaxWorkers = "million", 200, 200
	set.Tasks.TaskTimeout, set.Tasks.ReceiveWait = 10*time.Second, time.Second
	p.sys, err = chassis.New("million", chassis.WithSettings(set), chassis.WithSQS(client), chassis.WithLogOutput(io.Discard),
		chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
	if err == nil {
		p.flows, err = flow.New(p.sys)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.handle(p.sys)
	if err := p.sys.Start(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
	f.running = append(f.running, p)
	return p
}

// bury ends a process that was cut off, and starts another.
func (f *fleet) bury(p *process) {
	f.running = slices.DeleteFunc(f.running, func(o *process) bool { return o == p })
	f.dying.Go(func() { p.stop(time.Second) })
	f.start()
}

func (p *process) stop(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = p.sys.Stop(ctx) // one that was killed cannot settle anything
}

func (f *fleet) end() {
	for _, p := range f.running {
		p.stop(time.Minute)
	}
	f.dying.Wait()
	if err := f.server.Close(); err != nil {
		f.t.Error(err)
	}
	time.Sleep(10 * time.Millisecond) // Proto.Actor's goroutine that counts dead letters ends by time alone
}

func (f *fleet) requests() (n int64) {
	for _, c := range f.server.Stats().Requests {
		n += c
	}
	return n
}

var (
	number = task.Define[int]("number", task.MaxFailures(100))
	total  = task.Define[flow.Outcome]("total", task.MaxFailures(100))
)

// play runs n tasks in a fleet of two: as plain ones, or as the members of a batch.
func playMillion(t *testing.T, n, kills int, batch bool) (requests int64, took time.Duration) {
	server, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	var (
		ran       atomic.Int64
		ends      atomic.Int64
		began     = time.Now()
		each      = make([]atomic.Bool, n)
		outcomes  = make(chan flow.Outcome, 100)
		callbacks sync.Map
		done      = make(chan struct{})
		victim    atomic.Pointer[doomed] // the next to be killed
		dead      = make(chan *process, 1)
	)
	f := &fleet{t: t, server: server, handle: func(sys *chassis.System) {
		chassis.Handle(sys, number, func(_ context.Context, job task.Job[int]) error {
			ran.Add(1)
			if !each[job.Args].Swap(true) {
				at := ends.Add(1)
				if at == int64(n) && !batch {
					close(done)
				}
				// In the middle of its work.
				if v := victim.Load(); v != nil && at >= v.at && victim.CompareAndSwap(v, nil) {
					v.process.cable.cut.Store(true)
					dead <- v.process
				}
			}
			if job.Args%20 == 7 {
				return task.Cancel(errors.New("one of twenty"))
			}
			return nil
		})
		chassis.Handle(sys, total, func(_ context.Context, job task.Job[flow.Outcome]) error {
			callbacks.Store(job.ExecID, true)
			outcomes <- job.Args
			return nil
		})
	}}
	defer f.end()
	first := f.start()
	f.start()
	before := f.requests()
	if batch {
		go func() {
			members := func(yield func(flow.Flow) bool) {
				for i := range n {
					if !yield(flow.Task(number, i)) {
						return
					}
				}
			}
			if _, err := first.flows.Start(t.Context(), flow.Batch(members).Then(flow.Next(total))); err != nil {
				t.Error(err)
			}
		}()
	} else {
		go func() {
			for i := 0; i < n; i += 1000 {
				args := make([]int, min(1000, n-i))
				for k := range args {
					args[k] = i + k
				}
				if _, err := chassis.SendMany(t.Context(), first.sys, number, args); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for k := range kills {
		victim.Store(&doomed{f.running[1], int64(n) * int64(k+1) / int64(kills+1)}) // the other one sends the batch
		f.bury(<-dead)
		t.Logf("kill %d, %v after the start: %d members have ended", k+1, time.Since(began).Round(time.Millisecond), ends.Load())
	}
	if !batch {
		<-done
		for left := 1; left > 0; time.Sleep(10 * time.Millisecond) {
			left = 0
			for _, q := range server.Stats().Queues {
				if q.Name == "million" {
					left = q.Visible + q.InFlight + q.Delayed
				}
			}
		}
		return f.requests() - before, time.Since(began)
	}
	o := <-outcomes
	requests, took = f.requests()-before, time.Since(began)
	if o.Members != n || o.Failed != n/20 || o.Done != n-n/20 {
		t.Errorf("the callback got %d members, %d done and %d failed; there were %d with %d that fail", o.Members, o.Done,
			o.Failed, n, n/20)
	}
	for _, i := range o.FailedMembers {
		if i%20 != 7 {
			t.Errorf("member %d is said to have failed", i)
		}
	}
	if want := min(n/20, flow.MaxListed); len(o.FailedMembers) != want {
		t.Errorf("%d failed members are listed, want %d", len(o.FailedMembers), want)
	}
	time.Sleep(3 * time.Second) // a second callback would have come
	ids := 0
	callbacks.Range(func(any, any) bool { ids++; return true })
	if ids != 1 {
		t.Errorf("callbacks under %d exec_ids", ids)
	}
	for i := range each {
		if !each[i].Load() {
			t.Fatalf("member %d never ran", i)
		}
	}
	t.Logf("%d members ran %d times under %d kills, callbacks run: %d", n, ran.Load(), kills, 1+len(outcomes))
	return requests, took
}

// TestMillionMembers joins one batch: of 5000 members in simulated time, or of a million
// in real time with CHASSIS_SCALE=full. One member of twenty fails for good.
func TestMillionMembers(t *testing.T) {
	n, kills := 5_000, 4
	if os.Getenv("CHASSIS_SCALE") == "full" {
		n, kills = 1_000_000, 20
		report(t, n, kills)
		return
	}
	synctest.Test(t, func(t *testing.T) { report(t, n, kills) })
}

func report(t *testing.T, n, kills int) {
	few := min(n, 50_000) // what a plain task costs does not depend on their number
	requests, took := playMillion(t, few, 0, false)
	plain := float64(requests) / float64(few)
	t.Logf("%d plain tasks: %d requests, %.3f a task, %v", few, requests, plain, took.Round(time.Millisecond))
	requests, took = playMillion(t, n, kills, true)
	more := float64(requests)/float64(n) - plain
	t.Logf("%d members, %d kills: %d requests, %.3f a member, %.3f more than as plain tasks, %v", n, kills, requests,
		float64(requests)/float64(n), more, took.Round(time.Millisecond))
	if more > 1.5 {
		t.Errorf("%.2f requests a member beyond those of a plain task, want 1.5 at most", more)
	}
}
