package breaker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"text/tabwriter"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"

	"github.com/sambatech/chassis/actors/breaker"
)

// bounded is a service that runs so many requests at once, 50 ms each, keeps half as many
// waiting, and refuses the rest at once.
type bounded struct {
	mu       sync.Mutex
	capacity int
	running  int
	queue    []chan struct{}
	done     atomic.Int64
}

var errBusy = errors.New("503")

func (s *bounded) set(capacity int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.capacity = capacity
	s.start()
}

func (s *bounded) start() {
	for len(s.queue) > 0 && s.running < s.capacity {
		close(s.queue[0])
		s.queue = s.queue[1:]
		s.running++
	}
}

func (s *bounded) call(context.Context) error {
	s.mu.Lock()
	switch {
	case s.running < s.capacity:
		s.running++
		s.mu.Unlock()
	case len(s.queue) < max(1, s.capacity/2):
		turn := make(chan struct{})
		s.queue = append(s.queue, turn)
		s.mu.Unlock()
		<-turn
	default:
		s.mu.Unlock()
		time.Sleep(time.Millisecond)
		return errBusy
	}
	time.Sleep(time.Duration((45 + 10*rand.Float64()) * float64(time.Millisecond)))
	s.done.Add(1)
	s.mu.Lock()
	s.running--
	s.start()
	s.mu.Unlock()
	return nil
}

const (
	capacityWorkers = 64
	capacityPhase   = time.Minute
	capacityStep    = 2 * time.Second
)

var capacityClients = []struct {
	name string
	ours bool
	make func(t *testing.T, s *bounded) func(context.Context) error
}{
	{name: "fixed workers", make: func(_ *testing.T, s *bounded) func(context.Context) error { return s.call }},
	{name: "ours, adaptive", ours: true, make: func(t *testing.T, s *bounded) func(context.Context) error {
		b := newOurs(t, breaker.Settings{ClosedFailLimit: 1 << 30},
			breaker.WithLimit(breaker.Adaptive{Max: 200, Queue: 2 * capacityWorkers, Wait: time.Minute}))
		return func(ctx context.Context) error {
			return b.Do(ctx, "/v1/send", func(ctx context.Context) error { return breaker.After(s.call(ctx), 0) })
		}
	}},
	{name: "failsafe-go, adaptive", make: func(_ *testing.T, s *bounded) func(context.Context) error {
		l := adaptivelimiter.NewBuilder[any]().WithLimits(1, 200, 20).WithQueueing(10, 10).WithMaxWaitTime(time.Minute).Build()
		e := failsafe.With(l)
		return func(ctx context.Context) error { return e.Run(func() error { return s.call(ctx) }) }
	}},
	{name: "failsafe-go, failures as drops", make: func(_ *testing.T, s *bounded) func(context.Context) error {
		l := adaptivelimiter.NewBuilder[any]().WithLimits(1, 200, 20).WithQueueing(10, 10).WithMaxWaitTime(time.Minute).Build()
		return func(ctx context.Context) error {
			permit, err := l.AcquirePermit(ctx)
			if err != nil {
				return err
			}
			if err = s.call(ctx); err != nil {
				permit.Drop()
				return err
			}
			permit.Record()
			return nil
		}
	}},
}

// TestCapacity prints what 64 workers get of a service with a capacity of 40, of 10 and of
// 40 again, for a simulated minute each: the share of the capacity that is used, and the
// share of their calls that fail. A worker waits 50 ms after a failure.
func TestCapacity(t *testing.T) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	defer func() { _ = w.Flush() }()
	fmt.Fprintln(w, "client\tat 40\tat 10\tat 40 again\tall\tfailed calls")
	var lines []plotted
	could := plotted{name: "capacity"}
	for _, c := range capacityClients {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &bounded{capacity: 40}
				call := c.make(t, s)
				ctx, cancel := context.WithCancel(t.Context())
				var calls, failed atomic.Int64
				var workers sync.WaitGroup
				for range capacityWorkers {
					workers.Go(func() {
						for ctx.Err() == nil {
							calls.Add(1)
							if err := call(ctx); err != nil && ctx.Err() == nil {
								failed.Add(1)
								time.Sleep(50 * time.Millisecond)
							}
						}
					})
				}
				var row strings.Builder
				sum, all := 0.0, 0.0
				line := plotted{name: c.name}
				could.values = nil
				for _, capacity := range []int{40, 10, 40} {
					s.set(capacity)
					before := s.done.Load()
					for range capacityPhase / capacityStep {
						begun := s.done.Load()
						time.Sleep(capacityStep)
						line.values = append(line.values, float64(s.done.Load()-begun)/capacityStep.Seconds())
						could.values = append(could.values, float64(capacity)/0.050)
					}
					done, full := float64(s.done.Load()-before), float64(capacity)*capacityPhase.Seconds()/0.050
					fmt.Fprintf(&row, "\t%.1f %%", 100*done/full)
					sum, all = sum+done, all+full
				}
				cancel()
				workers.Wait()
				lines = append(lines, line)
				share, errs := sum/all, float64(failed.Load())/float64(calls.Load())
				fmt.Fprintf(w, "%s%s\t%.1f %%\t%.2f %%\n", c.name, row.String(), 100*share, 100*errs)
				if c.ours && (share < 0.9 || errs > 0.01) {
					t.Errorf("%.1f %% of the capacity, want 90; %.2f %% errors, want 1", 100*share, 100*errs)
				}
			})
		})
	}
	draw(t, "breaker-capacity", "64 workers and a service that does 40 calls at once, then 10, then 40", "calls done a second",
		capacityStep, 1400, lines, could)
}
