package systemtest_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// distant is a way to the queue that takes as long as one to AWS, there and back.
type distant struct {
	to  http.RoundTripper
	way time.Duration
}

func (d distant) Do(r *http.Request) (*http.Response, error) {
	time.Sleep(d.way)
	res, err := d.to.RoundTrip(r)
	time.Sleep(d.way)
	return res, err
}

// company is what a quiet tenant shares a pool with.
type company struct {
	pool    string
	noise   int // tasks a second of another
	workers int // of 100 ms a task
	running int // limit of a tenant; 0: none
	named   bool
}

// sojourn plays a minute of a quiet tenant with a task a second, and returns how long its
// tasks took from the send to their start: the median, and the longest but 1 %.
func sojourn(t *testing.T, c company) (p50, p99 time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		server, err := localsqs.New(localsqs.AsAWS(1))
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close() //nolint:errcheck // in memory
		client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(distant{
			server.HTTPClient().Transport, 5 * time.Millisecond}))
		if err != nil {
			t.Fatal(err)
		}
		set := chassis.DefaultSettings()
		set.Tasks.TaskPool, set.Tasks.Workers, set.Tasks.MaxWorkers = c.pool, c.workers, 1
		set.Tasks.Limits.Tenant.Running = c.running
		sys, err := chassis.New("work", chassis.WithSettings(set), chassis.WithSQS(client), chassis.WithLogOutput(io.Discard),
			chassis.WithoutDefaultLogger(), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		var took []time.Duration
		def := task.Define[time.Time]("work")
		chassis.Handle(sys, def, func(_ context.Context, job task.Job[time.Time]) error {
			if job.JobID == "quiet" {
				mu.Lock()
				took = append(took, time.Since(job.Args))
				mu.Unlock()
			}
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		sender := poller.NewSender(client)
		send := func(n int, tenant string, opts ...task.Option) {
			if c.named {
				opts = append(opts, task.Tenant(tenant))
			}
			var outs []poller.Outgoing
			for range n {
				out, err := def.Encode(time.Now(), time.Now(), append([]task.Option{task.Pool(c.pool)}, opts...)...)
				if err != nil {
					t.Fatal(err)
				}
				if c.running > 0 {
					out.GroupID = task.GroupOfTenant(tenant, out.ExecID, c.running)
				}
				outs = append(outs, *out)
			}
			if _, err := sender.SendMany(t.Context(), outs); err != nil {
				t.Fatal(err)
			}
		}
		const warm, tick = 20, 100 * time.Millisecond // the first seconds are not counted
		for i := range (warm + 60) * 10 {
			var all sync.WaitGroup
			all.Go(func() { send(c.noise/10, "noisy") })
			if i%10 == 3 {
				all.Go(func() {
					time.Sleep(time.Duration(i*37%100) * time.Millisecond)
					if i < warm*10 {
						send(1, "quiet")
					} else {
						send(1, "quiet", task.ForJob("quiet", ""))
					}
				})
			}
			time.Sleep(tick)
			all.Wait()
		}
		time.Sleep(2 * time.Second)
		mu.Lock()
		slices.Sort(took)
		if len(took) > 0 {
			p50, p99 = took[len(took)/2], took[(len(took)*99-1)/100]
		}
		t.Logf("noise %d/s: %d quiet ones, p50 %v, p99 %v, longest %v", c.noise, len(took), p50, p99, took[max(len(took)-1, 0)])
		mu.Unlock()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // what is left does not matter
		_ = sys.Stop(ctx)
		_ = sender.Close(t.Context())
		time.Sleep(time.Minute)
	})
	return p50, p99
}

// TestAQuietTenantIsNotHeldUp by another that sends a hundred times as much, and more than the
// pool can do, on a queue that behaves as AWS's do. On a standard queue it waits until a
// worker is free. With a limit there is one for it, and it waits as on an empty queue.
func TestAQuietTenantIsNotHeldUp(t *testing.T) {
	const workers = 8
	_, empty := sojourn(t, company{"work", 0, workers, 0, true})
	_, fair := sojourn(t, company{"work", 100, workers, 0, true})
	_, unfair := sojourn(t, company{"work", 100, workers, 0, false})
	_, emptyFIFO := sojourn(t, company{"work.fifo", 0, workers, 3, true})
	_, limited := sojourn(t, company{"work.fifo", 100, workers, 3, true})
	t.Logf("p99 from the send to the start: standard queue: empty %v, with tenants %v, without %v; with a limit of 3: "+
		"empty %v, with the other %v", empty, fair, unfair, emptyFIFO, limited)
	if most := empty + 100*time.Millisecond + 20*time.Millisecond; fair > most {
		t.Errorf("the quiet tenant waits for %v, longer than a task takes and a receive: %v", fair, most)
	}
	if limited > 2*emptyFIFO {
		t.Errorf("with a limit of 3 on the other the quiet tenant waits for %v, on an empty queue for %v", limited, emptyFIFO)
	}
	if unfair < 20*fair {
		t.Errorf("without tenants it waits for %v: nothing was tried", unfair)
	}
}
