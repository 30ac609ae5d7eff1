package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
)

// build makes the remotes and the system, and starts it.
func (s *soak) build(server *localsqs.Server, log *os.File, rate int) error {
	set := chassis.DefaultSettings()
	set.Tasks.TaskPool = "soak-tasks"
	set.Tasks.TaskTimeout, set.Tasks.ReceiveWait = lease, 2*time.Second
	set.Tasks.Workers = 16 + rate/4 // hangs and long tasks hold one worker for each ten tasks a second, bad spells of the remotes as many again
	set.Tasks.MaxWorkers = 2 * set.Tasks.Workers
	set.Tasks.HoldLimit = time.Second
	set.Tasks.AbandonAfter = 500 * time.Millisecond
	set.CircuitBreaker.RequestTimeout, set.CircuitBreaker.OpenTimeout = 500*time.Millisecond, time.Second
	set.CircuitBreaker.ClosedFailLimit, set.CircuitBreaker.HalfSuccessLimit = 5, 3
	set.CircuitBreaker.ForgetAfter = time.Minute
	set.Admin.Listen = "127.0.0.1:0"
	var err error
	if s.sys, err = chassis.New("soak", chassis.WithSettings(set), chassis.WithEmbedded(server), chassis.WithLogOutput(log), chassis.WithoutDefaultLogger()); err != nil {
		return err
	}
	s.log = s.sys.Logger("soak")
	for i := range 2 {
		r, err := newRemote(time.Duration(i) * cycle / 3)
		if err != nil {
			return err
		}
		s.remotes = append(s.remotes, r)
		if err := r.guard(s.sys); err != nil {
			return err
		}
	}
	s.healthy = s.sys.Breaker("http://healthy.internal")
	s.register()
	if err := s.sys.Start(context.Background()); err != nil {
		return err
	}
	url, err := s.sys.SQS().GetQueueUrl(context.Background(), &sqs.GetQueueUrlInput{QueueName: &set.Tasks.TaskPool})
	if err == nil {
		s.pool = *url.QueueUrl
	}
	return err
}

// settleTime is how long the last tasks get once no more are sent.
const settleTime = 2 * time.Minute

// work lets everything go on for length, and then until every task is over.
func (s *soak) work(ctx context.Context, length time.Duration, rate int, interval time.Duration) ([]sample, error) {
	sending, stop := context.WithTimeout(ctx, length)
	defer stop()
	rest, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var beside sync.WaitGroup
	failed := make(chan error, 8)
	begin := func(name string, ctx context.Context, work func(context.Context) error) {
		beside.Go(func() {
			if err := work(ctx); err != nil {
				failed <- fmt.Errorf("%s: %w", name, err)
				stop()
			}
		})
	}
	begin("sender", sending, func(ctx context.Context) error { return s.send(ctx, rate) })
	begin("caller", sending, s.call)
	begin("settings", sending, func(ctx context.Context) error { return s.reload(ctx, 10*time.Second) })
	begin("admin", sending, s.scrape)
	begin("dead letters", rest, func(ctx context.Context) error {
		for every(ctx, 10*time.Second) {
			if err := s.bury(ctx); err != nil {
				return err
			}
		}
		return nil
	})
	samples, err := s.watch(sending, length, interval)
	for begun := time.Now(); err == nil && s.ledger.outstanding() > 0 && time.Since(begun) < settleTime; {
		_ = pause(context.Background(), time.Second)
	}
	end()
	beside.Wait()
	close(failed)
	for e := range failed {
		err = errors.Join(err, e)
	}
	if len(samples) < 8 && err == nil {
		err = fmt.Errorf("only %d samples were taken: 8 are needed", len(samples))
	}
	return samples, err
}

func (s *soak) watch(ctx context.Context, length, interval time.Duration) ([]sample, error) {
	var samples []sample
	half := false
	for every(ctx, interval) {
		now, err := s.sample()
		if err != nil {
			return samples, err
		}
		samples = append(samples, now)
		if !half && now.at > length/2 {
			half = true
			if err := s.profile("half"); err != nil {
				return samples, err
			}
		}
		if len(samples)%4 == 0 {
			var text strings.Builder
			for i, q := range quantities {
				fmt.Fprintf(&text, ", %s %s", q.name, trend{quantity: q}.figure(now.figures[i]/q.scale))
			}
			fmt.Printf("%6v: %d tasks open%s\n", now.at.Round(time.Second), now.open, text.String())
		}
	}
	return samples, s.profile("end")
}

// profile writes a profile of the heap, where one is asked for.
func (s *soak) profile(name string) error {
	if s.heap == "" {
		return nil
	}
	f, err := os.Create(filepath.Join(s.heap, name+".pprof"))
	if err != nil {
		return err
	}
	runtime.GC()
	return errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
}

// accounts says what was done, and faults what should have been and was not.
func (s *soak) accounts() []string {
	took := time.Since(s.begun)
	l := s.ledger
	sent, kindsSent := 0, len(l.sent)
	for _, n := range l.sent {
		sent += n
	}
	if kindsSent < len(kinds)-1 { // mop is sent by on_fail
		l.Fault("only %d of %d kinds of tasks were sent", kindsSent, len(kinds)-1)
	}
	var opened, closed int64
	for _, r := range s.remotes {
		if r.opened.Load() == 0 || r.closed.Load() == 0 {
			l.Fault("the breaker of %s opened %d times and closed %d times", r.url, r.opened.Load(), r.closed.Load())
		}
		opened, closed = opened+r.opened.Load(), closed+r.closed.Load()
	}
	if s.reloads.Load() == 0 || s.scrapes.Load() == 0 {
		l.Fault("%d reloads and %d scrapes", s.reloads.Load(), s.scrapes.Load())
	}
	stats := s.sys.Tasks().Stats()
	var runs, failures, abandoned uint64
	for _, t := range stats.Tasks {
		runs, failures, abandoned = runs+t.Started, failures+t.Failed, abandoned+t.Abandoned
	}
	if stats.Abandoned > 0 {
		l.Fault("%d abandoned handlers still run", stats.Abandoned)
	}
	return []string{
		fmt.Sprintf("SOAK tasks sent=%d done=%d dead=%d sent-back=%d lost=%d", sent, l.done, l.buried, l.back, l.outstanding()),
		fmt.Sprintf("SOAK runs=%d failures=%d abandoned=%d ended-late=%d lost-leases=%d", runs, failures, abandoned, l.late, stats.LostLeases),
		fmt.Sprintf("SOAK breakers opened=%d closed=%d settings reloads=%d admin scrapes=%d", opened, closed, s.reloads.Load(), s.scrapes.Load()),
		fmt.Sprintf("SOAK cpu=%v in %v, %.0f %% of a core", cpu().Round(time.Second), took.Round(time.Second), 100*cpu().Seconds()/took.Seconds()),
	}
}
