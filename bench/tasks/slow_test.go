package tasks

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/task"
)

// slowWorkers are enough for the slow tasks (a hundredth of up to 20 000 a
// second, for a second each) and for the others beside them.
const slowWorkers = 500

// BenchmarkSlowAmongFast tells whether tasks that take 1 s, one in a hundred,
// hold back those of 1 ms around them: both runs should do as many a second.
// It counts from the first task done to nine tenths of them, so that neither
// the start nor the last slow ones, which run alone, are in it. It needs a few
// seconds: -benchtime 100000x.
func BenchmarkSlowAmongFast(b *testing.B) {
	b.Run("ours", func(b *testing.B) { slowAmongFast(b, true) })
	b.Run("without-slow", func(b *testing.B) { slowAmongFast(b, false) })
}

func slowAmongFast(b *testing.B, slow bool) {
	s := settings(slowWorkers)
	s.Queue.Endpoint, s.Queue.Region = server(b), "us-east-1"
	sys, err := chassis.New("bench", chassis.WithSettings(s), chassis.WithoutDefaultLogger())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := sys.Stop(context.Background()); err != nil {
			b.Error(err)
		}
	})
	var (
		ran               atomic.Int64
		first, last, done = make(chan time.Time, 1), make(chan time.Time, 1), make(chan struct{})
		until             = max(int64(b.N)*9/10, 1)
	)
	chassis.Handle(sys, noop, func(ctx context.Context, job task.Job[args]) error {
		if slow && job.Args.ID%100 == 99 {
			time.Sleep(time.Second)
		} else {
			time.Sleep(time.Millisecond)
		}
		n := ran.Add(1)
		if n == 1 {
			first <- time.Now()
		}
		if n == until {
			last <- time.Now()
		}
		if n == int64(b.N) {
			close(done)
		}
		return nil
	})
	url := fill(b, sys.SQS(), b.N)
	b.ResetTimer()
	if err := sys.Start(b.Context()); err != nil {
		b.Fatal(err)
	}
	began := <-first
	took := (<-last).Sub(began)
	<-done
	untilEmpty(b, sys.SQS(), url)
	b.ReportMetric(float64(until)/took.Seconds(), "tasks/s")
}
