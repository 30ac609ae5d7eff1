package tasks

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// BenchmarkAsk is the time from a question to its answer, in one process with the embedded
// queue in memory: one at a time, and with 256 under way.
func BenchmarkAsk(b *testing.B) {
	for _, run := range []struct {
		name   string
		askers int
	}{{"serial", 1}, {"busy", 256}} {
		b.Run(run.name, func(b *testing.B) { benchmarkAsk(b, run.askers) })
	}
}

func benchmarkAsk(b *testing.B, askers int) {
	s := chassis.DefaultSettings()
	s.Tasks.Workers, s.Tasks.MaxWorkers, s.Log.Level = 128, 128, "error"
	sys, err := chassis.New("ask", chassis.WithSettings(s), chassis.WithLogOutput(io.Discard), chassis.WithoutDefaultLogger())
	if err != nil {
		b.Fatal(err)
	}
	double := task.Define[int]("double")
	chassis.Handle(sys, double, func(ctx context.Context, job task.Job[int]) error { return task.Return(ctx, 2*job.Args) })
	if err := sys.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := sys.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	}()
	ask := func(n int) time.Duration {
		begun := time.Now()
		got, err := chassis.Ask[int](context.Background(), sys, double, n)
		if err != nil || got != 2*n {
			b.Errorf("twice %d is %d, %v", n, got, err)
		}
		return time.Since(begun)
	}
	ask(1) // makes the inbox
	took := make([]time.Duration, b.N)
	next := make(chan int, b.N)
	for i := range b.N {
		next <- i
	}
	close(next)
	b.ReportAllocs()
	b.ResetTimer()
	var work sync.WaitGroup
	for range askers {
		work.Go(func() {
			for i := range next {
				took[i] = ask(i)
			}
		})
	}
	work.Wait()
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "asks/s")
	b.ReportMetric(float64(took[b.N/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[b.N*99/100].Microseconds()), "p99-µs")
}
