package tasks_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// Two messages that kill their process, in a fleet of three that is always started
// again: each is given up after exactly its budget, and every other task is done
// once, however often it was in flight with one of them.
func TestTwoKillersTakeNoOtherTaskAlong(t *testing.T) {
	const budget = 6
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 6) // a standard queue
		killer, other := task.Define[kit.Payload]("killer", task.MaxFailures(budget)), task.Define[kit.Payload]("other", task.MaxFailures(2))
		var mu sync.Mutex
		kills, done := map[int]int{}, map[int]int{}
		died := make(chan *process, 100)
		up := func() *process {
			p := w.process(true)
			chassis.Handle(p.sys, killer, func(ctx context.Context, j task.Job[kit.Payload]) error {
				time.Sleep(time.Second)
				if p.ctx.Err() == nil {
					mu.Lock()
					kills[j.Args.N]++
					mu.Unlock()
					p.die()
					died <- p
				}
				<-ctx.Done()
				return ctx.Err()
			})
			chassis.Handle(p.sys, other, func(ctx context.Context, j task.Job[kit.Payload]) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(7300 * time.Millisecond):
				}
				if p.ctx.Err() == nil {
					mu.Lock()
					defer mu.Unlock()
					done[j.Args.N]++
				}
				return nil
			})
			return p
		}
		sender := up()
		send := func(def *task.Definition[kit.Payload], n int) {
			if _, err := chassis.Send(t.Context(), sender.sys, def, kit.Payload{N: n}); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 60 {
			if i%30 == 5 {
				send(killer, i)
			}
			send(other, i)
		}
		for range 3 {
			p := up()
			startUp(t, p.sys)
			w.fleet = append(w.fleet, p)
		}
		began := time.Now()
		for time.Since(began) < 12*time.Hour {
			select {
			case p := <-died:
				for i, o := range w.fleet {
					if o == p {
						w.fleet[i] = up()
						startUp(t, w.fleet[i].sys)
					}
				}
				w.endings.Go(func() { _ = p.sys.Stop(context.Background()) })
			case <-time.After(time.Hour):
			}
		}
		for len(w.fleet) > 0 {
			w.end(false)
		}
		w.endings.Wait()
		_ = sender.sys.Stop(context.Background())
		sender.die()
		if len(kills) != 2 || kills[5] != budget || kills[35] != budget {
			t.Errorf("kills by message %v, want %d of each of two", kills, budget)
		}
		for i := range 60 {
			if done[i] != 1 {
				t.Errorf("task %d was done %d times", i, done[i])
			}
		}
		for _, s := range w.q.Stats().Queues {
			if want := map[string]int{"year_dead": 2}[s.Name]; s.Visible != want {
				t.Errorf("%d messages on %s, want %d", s.Visible, s.Name, want)
			}
		}
		if err := w.q.Close(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Second)
	})
}

func startUp(t *testing.T, sys *chassis.System) {
	t.Helper()
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}
