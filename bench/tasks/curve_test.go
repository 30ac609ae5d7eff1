package tasks

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// counter is the way to the embedded queue: it counts requests.
type counter struct {
	next *http.Client
	n    atomic.Int64
}

func (c *counter) Do(r *http.Request) (*http.Response, error) {
	c.n.Add(1)
	return c.next.Do(r)
}

// counted is an option by which a service reaches a queue through a counter.
func counted(tb testing.TB, queue *http.Client) (*counter, chassis.Option) {
	c := &counter{next: queue}
	client, err := sqsclient.New(tb.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(c))
	if err != nil {
		tb.Fatal(err)
	}
	return c, chassis.WithSQS(client)
}

// The curve's tasks take this, and what the chassis may add to it.
const (
	curveTask     = 3 * time.Millisecond
	curveOverhead = 300 * time.Microsecond
	curveLongest  = 4 * time.Second // of one measurement
)

// BenchmarkCurve is how many short tasks a second a pool does while a share of
// its messages waits in place or for a paused task, or a share of its workers
// does long work. of-rule is that rate in parts of 0.6·k/(d + 0.3 ms), where k
// workers are free for tasks of d: it should be 1 and more, as far as the
// processor goes. It takes no notice of -benchtime: use 1x.
func BenchmarkCurve(b *testing.B) {
	for _, workers := range []int{1, 3, 8, 64, 200} {
		b.Run(fmt.Sprintf("%d/alone", workers), func(b *testing.B) { curve(b, workers, 0, "") })
		for _, share := range []int{5, 50} {
			b.Run(fmt.Sprintf("%d/waiting-%d%%", workers, share), func(b *testing.B) { curve(b, workers, 0, "waiting", share) })
			b.Run(fmt.Sprintf("%d/parked-%d%%", workers, share), func(b *testing.B) { curve(b, workers, 0, "parked", share) })
			if long := workers * share / 100; long > 0 {
				b.Run(fmt.Sprintf("%d/long-%d%%", workers, share), func(b *testing.B) { curve(b, workers, long, "") })
			}
		}
	}
	b.Run("64/long-58", func(b *testing.B) { curve(b, 64, 58, "") })
	b.Run("200/long-195", func(b *testing.B) { curve(b, 200, 195, "") })
}

func curve(b *testing.B, workers, long int, other string, share ...int) {
	queue := embedded(b)
	requests, option := counted(b, queue.HTTPClient())
	sys, err := chassis.New("bench", chassis.WithSettings(settings(workers)), chassis.WithoutDefaultLogger(), option)
	if err != nil {
		b.Fatal(err)
	}
	stop := make(chan struct{})
	b.Cleanup(func() {
		close(stop)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = sys.Stop(ctx) // what waits is given back; nothing will run it
	})
	var done, ran atomic.Int64
	for _, name := range []string{"short", "long", "waiting", "parked"} {
		chassis.Handle(sys, task.Define[int](name), func(_ context.Context, job task.Job[int]) error {
			switch name {
			case "long":
				ran.Add(1)
				<-stop
			case "waiting":
				return task.Snooze(25 * time.Second)
			case "short":
				time.Sleep(curveTask)
				done.Add(1)
			}
			return nil
		})
	}
	if err := sys.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := sys.Control().Pause(b.Context(), "parked"); err != nil {
		b.Fatal(err)
	}
	send := func(many []chassis.Task) {
		if len(many) == 0 {
			return
		}
		if _, err := sys.SendMany(b.Context(), many); err != nil {
			b.Fatal(err)
		}
	}
	many := make([]chassis.Task, long)
	for i := range many {
		many[i] = chassis.Task{Name: "long", Args: 0}
	}
	send(many)
	for ran.Load() < int64(long) {
		time.Sleep(time.Millisecond)
	}
	free := workers - long
	n := min(max(free*300, 300), 6000) // a second's work, but for hundreds of workers
	if other == "waiting" {
		n = min(n, 900) // more than max_held would be given back
	}
	if err := sys.Control().Pause(b.Context(), ""); err != nil {
		b.Fatal(err)
	}
	many = many[:0]
	for i, owed := 0, 0; i < n; i++ {
		if many = append(many, chassis.Task{Name: "short", Args: i}); other == "" {
			continue
		}
		for owed += share[0]; owed >= 100-share[0]; owed -= 100 - share[0] {
			many = append(many, chassis.Task{Name: other, Args: i})
		}
	}
	send(many)
	b.ResetTimer()
	before, begun := requests.n.Load(), time.Now()
	if err := sys.Control().Resume(b.Context(), ""); err != nil {
		b.Fatal(err)
	}
	most := int64(n) * 9 / 10 // the last few have nothing behind them
	for done.Load() < most && time.Since(begun) < curveLongest {
		time.Sleep(200 * time.Microsecond)
	}
	rate := float64(done.Load()) / time.Since(begun).Seconds()
	b.StopTimer()
	b.ReportMetric(rate, "tasks/s")
	b.ReportMetric(rate/(0.6*float64(free)/(curveTask+curveOverhead).Seconds()), "of-rule")
	b.ReportMetric(float64(requests.n.Load()-before)/float64(max(done.Load(), 1)), "requests/task")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkOutage is a minute in which the service behind a breaker is down,
// for a pool of eight workers with 3 000 tasks, half of them calls to
// it: how many of the others are done a second, and what the minute costs in
// requests and log lines. It takes no notice of -benchtime: use 1x.
func BenchmarkOutage(b *testing.B) {
	base := chassistest.New(b, chassistest.Name("base"))
	requests, option := counted(b, base.Queue.HTTPClient())
	sys := chassistest.New(b, chassistest.Beside(base), chassistest.Options(option), chassistest.Settings(func(s *chassis.Settings) {
		s.Tasks.Workers, s.Tasks.MaxWorkers, s.Log.Level = 8, 8, "info"
	}))
	const n = 3000
	mail := sys.Breaker("http://mail.internal")
	var begun atomic.Int64
	var calls, healthy, mails atomic.Int64
	down := fmt.Errorf("connection refused")
	chassis.Handle(sys.System, task.Define[int]("mail"), func(ctx context.Context, job task.Job[int]) error {
		err := mail.Do(ctx, "/", func(context.Context) error {
			calls.Add(1)
			time.Sleep(curveTask)
			if time.Since(time.Unix(0, begun.Load())) < time.Minute {
				return down
			}
			return nil
		})
		if err == nil {
			mails.Add(1)
		}
		return err
	})
	chassis.Handle(sys.System, task.Define[int]("healthy"), func(context.Context, task.Job[int]) error {
		time.Sleep(curveTask)
		healthy.Add(1)
		return nil
	})
	var many []chassis.Task
	for i := range n {
		many = append(many, chassis.Task{Name: []string{"mail", "healthy"}[i%2], Args: i})
	}
	if _, err := sys.SendMany(b.Context(), many); err != nil {
		b.Fatal(err)
	}
	before := requests.n.Load()
	begun.Store(time.Now().UnixNano())
	if err := sys.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	for healthy.Load() < n/2*9/10 && time.Since(start) < time.Minute {
		time.Sleep(time.Millisecond)
	}
	rate := float64(healthy.Load()) / time.Since(start).Seconds()
	time.Sleep(time.Until(start.Add(time.Minute)))
	lines := len(sys.Logs())
	b.ReportMetric(rate, "healthy/s")
	b.ReportMetric(float64(requests.n.Load()-before), "requests")
	b.ReportMetric(float64(lines), "log-lines")
	b.ReportMetric(float64(calls.Load()), "calls")
	for mails.Load() < n/2 && time.Since(start) < 3*time.Minute {
		time.Sleep(10 * time.Millisecond)
	}
	b.ReportMetric(time.Since(start.Add(time.Minute)).Seconds(), "s-to-the-end")
	b.ReportMetric(0, "ns/op")
}
