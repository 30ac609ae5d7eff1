//go:build unix

package dispatcher_test

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// source is a poller without a queue: it delivers one message for each credit
// and answers each settle, so that a benchmark measures the dispatcher alone.
type source struct {
	out     *task.Outgoing
	left    int
	credits int
	lease   poller.LeaseID
	sub     *actor.PID
	settled int
	total   int
	done    chan struct{}
}

type supply struct{ n int }

func (s *source) Receive(ctx actor.Context) {
	switch m := ctx.Message().(type) {
	case *poller.Subscribe:
		s.sub = m.To
	case *poller.Want:
		s.credits += m.Credits
	case *supply:
		s.left, s.total, s.settled = m.n, m.n, 0
	case *poller.Settle:
		ctx.Send(s.sub, &poller.Settled{Lease: m.Lease})
		if s.settled++; s.settled == s.total {
			s.done <- struct{}{}
		}
	case *poller.Count:
		ctx.Send(s.sub, &poller.Counted{})
	default:
		return
	}
	for ; s.left > 0 && s.credits > 0; s.left-- {
		s.credits--
		s.lease++
		now := time.Now()
		ctx.Send(s.sub, &poller.Delivered{
			Lease: s.lease, MessageID: strconv.Itoa(int(s.lease)), Body: s.out.Body, Attributes: s.out.Attributes,
			ReceiveCount: 1, Sent: now, FirstReceived: now,
		})
	}
}

func benchRig(b *testing.B, workers int) (*source, *dispatcher.Client, *dispatcher.Monitor, func(n int)) {
	b.Helper()
	out, err := task.Encode("noop", map[string]int{"id": 1}, time.Now())
	if err != nil {
		b.Fatal(err)
	}
	system := newSystem()
	src := &source{out: out, done: make(chan struct{}, 1)}
	srcPID := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return src }))
	mon := dispatcher.NewMonitor()
	props, err := dispatcher.New(dispatcher.Config{
		Settings: dispatcher.Settings{Workers: workers, MaxWorkers: workers}, Pool: "bench", Poller: srcPID, Monitor: mon,
		Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	pid := system.Root.Spawn(props)
	b.Cleanup(func() {
		_ = system.Root.StopFuture(pid).Wait()
		_ = system.Root.StopFuture(srcPID).Wait()
		system.Shutdown()
	})
	return src, dispatcher.NewClient(system, pid), mon, func(n int) { system.Root.Send(srcPID, &supply{n}) }
}

// BenchmarkDispatch is one no-op task from Delivered to Settled, with a
// supervised child of its own.
func BenchmarkDispatch(b *testing.B) {
	type args struct{ ID int }
	for _, workers := range []int{3, 100, 1000} {
		b.Run("workers="+strconv.Itoa(workers), func(b *testing.B) {
			src, client, _, start := benchRig(b, workers)
			h := task.Erase(func(context.Context, task.Job[args]) error { return nil })
			if _, err := client.Register(b.Context(), task.NewSpec("noop"), h); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			start(b.N)
			<-src.done
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/task")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}

// BenchmarkBlocked is the memory of an execution that is blocked in its
// handler: all of b.N at once.
func BenchmarkBlocked(b *testing.B) {
	type args struct{ ID int }
	src, client, _, start := benchRig(b, b.N+1)
	release := make(chan struct{})
	var in atomic.Int64
	all := make(chan struct{})
	h := task.Erase(func(ctx context.Context, _ task.Job[args]) error {
		if in.Add(1) == int64(b.N) {
			close(all)
		}
		<-release
		return nil
	})
	if _, err := client.Register(b.Context(), task.NewSpec("noop"), h); err != nil {
		b.Fatal(err)
	}
	before := memory()
	start(b.N)
	<-all
	b.ReportMetric(float64(memory()-before)/float64(b.N), "B/blocked")
	close(release)
	<-src.done
}

// cpuTime is what the process has used up: of a machine that is shared it says
// more than the time that went by.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// memory is the heap in use and the stacks, after a collection.
func memory() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// taskActor is the smallest task actor: it answers Done.
type taskActor struct{}

func (*taskActor) Receive(c actor.Context) {
	if _, ok := c.Message().(*dispatcher.Execute); ok {
		c.Respond(dispatcher.Done{})
	}
}

// BenchmarkHandlerOrActor compares a no-op task run by a function with one run
// by a task actor, from Delivered to Settled.
func BenchmarkHandlerOrActor(b *testing.B) {
	register := map[string]func(*dispatcher.Client) error{
		"function": func(c *dispatcher.Client) error {
			_, err := c.Register(b.Context(), task.NewSpec("noop"), func(context.Context, raw) error { return nil })
			return err
		},
		"actor": func(c *dispatcher.Client) error {
			_, err := c.RegisterProps(b.Context(), task.NewSpec("noop"), actor.PropsFromProducer(func() actor.Actor { return &taskActor{} }))
			return err
		},
	}
	for _, kind := range []string{"function", "actor"} {
		b.Run(kind, func(b *testing.B) {
			src, client, _, start := benchRig(b, 100)
			if err := register[kind](client); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			start(b.N)
			<-src.done
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/task")
		})
	}
}

// BenchmarkBulk compares a handler that makes one call of 2 ms a task with one that makes
// it for ten, where four calls may be under way, as with a small pool of connections.
func BenchmarkBulk(b *testing.B) {
	type args struct {
		N int `json:"n"`
	}
	connections := make(chan struct{}, 4)
	call := func() {
		connections <- struct{}{}
		time.Sleep(2 * time.Millisecond) // what is measured is the waiting
		<-connections
	}
	for _, n := range []int{1, 10} {
		b.Run(fmt.Sprint("tasks_a_call=", n), func(b *testing.B) {
			src, client, _, start := benchRig(b, 100)
			h := func(context.Context, task.Job[args]) error { call(); return nil }
			if n > 1 {
				h = task.Bulk(n, 5*time.Millisecond, func([]*task.Member[args]) error { call(); return nil })
			}
			if _, err := client.Register(b.Context(), task.NewSpec("noop"), task.Erase(h)); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := cpuTime()
			start(b.N)
			<-src.done
			b.ReportMetric(float64(cpuTime()-cpu)/float64(b.N), "cpu-ns/task")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tasks/s")
		})
	}
}
