package tasks_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// Six workers, six reports of 5 minutes in flight; the process dies without a word and is started again; a mail is sent each minute.
// The six reports ran one by one with nothing else, and a mail waited for up to half an hour (hibiken/asynq#334, rails/solid_queue#159).
// Right: no mail waits longer than 6 minutes (what came back runs together at first, or healthy tasks run while a suspect does).
func TestAfterACrashHealthyTasksWaitForAllSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		report, mail := task.Define[kit.Payload]("report"), task.Define[kit.Payload]("mail")
		base := chassistest.New(t, chassistest.Name("base"), kit.Quietly("critical"))
		six := kit.Quietly("critical", kit.OnPool("mails"), func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 6, 6 })
		p, mu := &kit.Tap{}, sync.Mutex{}
		dies := kit.Tapped(t, base, p, six)
		handle := func(sys *chassistest.System, took map[int]time.Duration) {
			chassis.Handle(sys.System, report, func(ctx context.Context, _ task.Job[kit.Payload]) error {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(5 * time.Minute):
					return nil
				}
			})
			chassis.Handle(sys.System, mail, func(_ context.Context, j task.Job[kit.Payload]) error {
				mu.Lock()
				defer mu.Unlock()
				took[j.Args.N] = time.Since(time.Unix(0, int64(j.Args.N)))
				return nil
			})
		}
		handle(dies, nil)
		for range 6 {
			chassistest.Send(dies, report, kit.Payload{})
		}
		kit.Begin(t, dies)
		kit.Pass(time.Minute)
		p.Set(kit.Hang) // nothing of the dead process gets through any more
		next, took := chassistest.New(t, chassistest.Beside(base), six), map[int]time.Duration{}
		handle(next, took)
		kit.Begin(t, next)
		for range 60 {
			chassistest.Send(next, mail, kit.Payload{N: int(time.Now().UnixNano())})
			kit.Pass(time.Minute)
		}
		kit.Pass(time.Hour)
		var worst time.Duration
		for _, d := range took {
			worst = max(worst, d)
		}
		if len(took) != 60 || worst > 6*time.Minute {
			t.Errorf("%d of 60 mails ran, the slowest after %v; want all, each within 6m0s", len(took), worst)
		}
	})
}

// Sixty workers, sixty tasks of 30 s in flight; the process dies; another of sixty workers has 600 more of them to do.
// The sixty ran one by one first, which took 35 minutes.
// Right: at most 15 minutes; with crash_suspects: together it is 5 minutes 31.
func TestAfterACrashABusyServiceNeedsHalfAnHourMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		work := task.Define[kit.Payload]("work")
		base := chassistest.New(t, chassistest.Name("base"), kit.Quietly("critical"))
		sixty := kit.Quietly("critical", kit.OnPool("work-tasks"), func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 60, 60 })
		p := &kit.Tap{}
		dies, next := kit.Tapped(t, base, p, sixty), chassistest.New(t, chassistest.Beside(base), sixty)
		ended := make(chan time.Time, 1000)
		chassis.Handle(dies.System, work, func(ctx context.Context, _ task.Job[kit.Payload]) error { <-ctx.Done(); return ctx.Err() })
		chassis.Handle(next.System, work, func(ctx context.Context, _ task.Job[kit.Payload]) error {
			time.Sleep(30 * time.Second)
			ended <- time.Now()
			return nil
		})
		for range 60 {
			chassistest.Send(dies, work, kit.Payload{})
		}
		kit.Begin(t, dies)
		kit.Pass(10 * time.Second)
		p.Set(kit.Hang)
		for range 600 {
			chassistest.Send(next, work, kit.Payload{})
		}
		began := time.Now()
		kit.Begin(t, next)
		var last time.Time
		for range 660 {
			select {
			case last = <-ended:
			case <-time.After(3 * time.Hour):
				t.Fatalf("not all have ended; queues %s", kit.Depths(base.Queue))
			}
		}
		if d := last.Sub(began); d > 15*time.Minute {
			t.Errorf("the last of 660 ended after %v, want at most 15m0s", d)
		}
	})
}
