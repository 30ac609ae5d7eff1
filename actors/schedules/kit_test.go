package schedules

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/internal/skew"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
	"github.com/sambatech/chassis/task/cron"
)

const pool = "x-cron.fifo"

// fleet is several processes on one queue of ticks, and one that takes what they send.
type fleet struct {
	t      *testing.T
	server *localsqs.Server
	client *sqs.Client
	url    string
	system *actor.ActorSystem

	mu   sync.Mutex
	seen []fired
}

// fired is a tick that came through the queue.
type fired struct {
	name, jobID, execID string
	tick, at            time.Time
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	server, err := localsqs.New()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{t: t, server: server, system: actor.NewActorSystem(actor.WithDeadLetterThrottleInterval(time.Millisecond),
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))}
	f.client = f.newClient(server.HTTPClient().Transport)
	if f.url, err = poller.EnsureQueue(t.Context(), f.client, pool, poller.EnsureOptions{Create: true, Retention: 14 * 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &f.url, // an empty receive takes no time
		Attributes: map[string]string{"ReceiveMessageWaitTimeSeconds": "0"}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		f.system.Shutdown()
		if err := server.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second) // Proto.Actor's goroutine that counts dead letters ends by time alone
	})
	return f
}

type doer func(*http.Request) (*http.Response, error)

func (d doer) Do(r *http.Request) (*http.Response, error)        { return d(r) }
func (d doer) RoundTrip(r *http.Request) (*http.Response, error) { return d(r) }

func (f *fleet) newClient(t http.RoundTripper) *sqs.Client {
	f.t.Helper()
	client, err := sqsclient.New(f.t.Context(), sqsclient.Settings{Endpoint: "http://sqs.local", Region: "us-east-1"},
		sqsclient.WithHTTPClient(doer(t.RoundTrip)), sqsclient.WithCredentials(aws.AnonymousCredentials{}))
	if err != nil {
		f.t.Fatal(err)
	}
	return client
}

// take takes what is on the queue, until it is empty.
func (f *fleet) take() {
	for {
		out, err := f.client.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{QueueUrl: &f.url,
			MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"}})
		if err != nil {
			f.t.Error(err)
			return
		}
		if len(out.Messages) == 0 {
			return
		}
		for _, m := range out.Messages {
			msg, err := task.Decode(aws.ToString(m.Body), m.MessageAttributes)
			if err != nil {
				f.t.Error(err)
			}
			name, stamp, _ := strings.Cut(msg.JobID, "@")
			tick, _ := time.Parse(time.RFC3339, stamp)
			f.mu.Lock()
			f.seen = append(f.seen, fired{name, msg.JobID, msg.ExecID, tick, time.Now().UTC()})
			f.mu.Unlock()
			if _, err := f.client.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &f.url,
				ReceiptHandle: m.ReceiptHandle}); err != nil {
				f.t.Error(err)
			}
		}
	}
}

// text lists what came, as name@hour:minute:second.
func (f *fleet) text() string {
	f.take()
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	slices.SortStableFunc(f.seen, func(a, b fired) int { return a.tick.Compare(b.tick) })
	for _, s := range f.seen {
		fmt.Fprintf(&b, "%s@%s ", s.name, s.tick.Format("15:04:05"))
	}
	f.seen = nil
	return strings.TrimSpace(b.String())
}

// process is one process of the fleet.
type process struct {
	f        *fleet
	s        *Schedules
	pid      *actor.PID
	status   func(r *http.Request) (*http.Response, error) // in place of the queue; nil: the queue
	mu       sync.Mutex
	resume   chan struct{} // nil: not suspended
	leapt    atomic.Int64  // by how much its wall clock was set, or it slept
	requests map[string]int
}

func (f *fleet) start(name string, jobs ...Job) *process { return f.startSkewed(name, 0, jobs...) }

func (f *fleet) startSkewed(name string, skewed time.Duration, jobs ...Job) *process {
	f.t.Helper()
	return f.launch(name, &process{f: f, requests: map[string]int{}}, skewed, jobs...)
}

// startInstead starts a process where something answers in place of the queue from its begin on.
func (f *fleet) startInstead(name string, instead func(*http.Request) (*http.Response, error), jobs ...Job) *process {
	f.t.Helper()
	return f.launch(name, &process{f: f, requests: map[string]int{}, status: instead}, 0, jobs...)
}

func (f *fleet) launch(name string, p *process, skewed time.Duration, jobs ...Job) *process {
	f.t.Helper()
	way := f.server.HTTPClient().Transport
	client := f.newClient(doer(func(r *http.Request) (*http.Response, error) {
		p.wait()
		p.mu.Lock()
		instead := p.status
		p.requests[r.Header.Get("X-Amz-Target")]++
		p.mu.Unlock()
		if instead != nil {
			if res, err := instead(r); res != nil || err != nil {
				return res, err
			}
		}
		date := time.Now().UTC().Format(http.TimeFormat)
		res, err := way.RoundTrip(r)
		if err == nil {
			res.Header.Set("Date", date)
		}
		return res, err
	}))
	began := time.Now()
	s, err := newOn(Config{Pool: pool, URL: f.url, Client: client, Jobs: jobs}, skew.ClockOf(began.Add(skewed),
		func() (elapsed, wall time.Duration) {
			p.wait()
			elapsed = time.Since(began)
			return elapsed, elapsed + time.Duration(p.leapt.Load())
		}))
	if err != nil {
		f.t.Fatal(err)
	}
	p.s = s
	if p.pid, err = f.system.Root.SpawnNamed(s.Props(), name); err != nil {
		f.t.Fatal(err)
	}
	return p
}

// wait holds up whatever asks for the time or the queue while the process is suspended.
func (p *process) wait() {
	p.mu.Lock()
	resume := p.resume
	p.mu.Unlock()
	if resume != nil {
		<-resume
	}
}

func (p *process) suspend() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resume = make(chan struct{})
}

func (p *process) goOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.resume != nil {
		close(p.resume)
		p.resume = nil
	}
}

// kill ends the process where it is.
func (p *process) kill() {
	p.s.core.end()
	p.goOn()
	_ = p.f.system.Root.StopFuture(p.pid).Wait()
}

func (p *process) instead(f func(r *http.Request) (*http.Response, error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = f
}

func job(t *testing.T, name, expr string, opts ...cron.Option) Job {
	t.Helper()
	s, err := cron.New(name, expr, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return Job{Schedule: s, Task: "report", Args: map[string]int{"n": 1}, Source: "code"}
}

// bubble runs f with time at noon of a day.
func bubble(t *testing.T, f func(t *testing.T)) { synctest.Test(t, f) }

// until sleeps until a time on the clock of the day, UTC.
func until(clock string) {
	at, err := time.Parse("15:04:05", clock)
	if err != nil {
		panic(err)
	}
	now := time.Now().UTC()
	to := time.Date(now.Year(), now.Month(), now.Day(), at.Hour(), at.Minute(), at.Second(), 0, time.UTC)
	if to.Before(now) {
		to = to.AddDate(0, 0, 1)
	}
	time.Sleep(to.Sub(now))
	synctest.Wait()
}
