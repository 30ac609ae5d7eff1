package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

func TestOperatorCancelsSnoozesAndInspects(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var bRuns atomic.Int32
		r.handle("t", func(ctx context.Context, job raw) error {
			task.Report(ctx, 3, 10, "rows")
			if job.ExecID == "b" && bRuns.Add(1) > 1 {
				return nil
			}
			<-ctx.Done()
			return ctx.Err()
		})
		r.handle("failing", func(context.Context, raw) error { return errors.New("no") }, task.Wait(20*time.Second, task.None))
		r.send("t", nil, task.ExecID("a"))
		r.send("t", nil, task.ExecID("b"))
		r.send("failing", nil, task.ExecID("c"))
		r.settle()
		list, err := r.client.Inspect(r.ctx(), "a", 0)
		if err != nil || len(list.List) != 1 || list.List[0].Phase != "running" || list.List[0].Progress == nil || list.List[0].Progress.Done != 3 {
			t.Errorf("%+v, %v", list, err)
		}
		list, err = r.client.Inspect(r.ctx(), "c", 0)
		if err != nil || len(list.List) != 1 || list.List[0].Phase != "waiting" || list.List[0].Error != "no" || list.List[0].Failures != 1 {
			t.Errorf("%+v, %v", list, err)
		}
		begin := time.Now()
		for _, id := range []string{"a", "c"} {
			if n, err := r.client.CancelExecution(r.ctx(), id, "wrong customer"); n != 1 || err != nil {
				t.Errorf("cancel %s: %d, %v", id, n, err)
			}
		}
		if n, err := r.client.SnoozeExecution(r.ctx(), "b", 10*time.Minute); n != 1 || err != nil {
			t.Errorf("snooze: %d, %v", n, err)
		}
		r.settle()
		if took := time.Since(begin); took > 100*time.Millisecond {
			t.Errorf("took %v", took)
		}
		dead := r.dead()
		if len(dead) != 2 || dead[0].Reason != task.ReasonCancelled || !strings.Contains(dead[0].LastError, "wrong customer") {
			t.Errorf("dead %+v", dead)
		}
		r.after(11 * time.Minute)
		if bRuns.Load() != 2 || r.left() != 0 {
			t.Errorf("b ran %d times, %d left", bRuns.Load(), r.left())
		}
		if n, err := r.client.CancelExecution(r.ctx(), "unknown", ""); n != 0 || err == nil {
			t.Errorf("cancelling an unknown execution: %d, %v", n, err)
		}
	})
}

// Each of several that pause the pool ends its own pause alone, also after the actor
// has restarted.
func TestAPoolIsPausedBySeveral(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var runs atomic.Int64
		r.handle("a", func(context.Context, raw) error { runs.Add(1); return nil })
		pause := func(by string) { r.system.Root.Send(r.pid, &dispatcher.Pause{By: by}) }
		resume := func(by string) { r.system.Root.Send(r.pid, &dispatcher.Resume{By: by}) }
		pause("db")
		pause("cache")
		pause("db")
		r.send("a", nil)
		resume("db")
		r.restart()
		r.after(time.Minute)
		if s := r.mon.Stats(); runs.Load() != 0 || !s.Paused || len(s.PausedBy) != 1 || s.PausedBy[0] != "cache" {
			t.Errorf("paused by the cache: %d runs, %v by %q", runs.Load(), s.Paused, s.PausedBy)
		}
		if err := r.client.Resume(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		if err := r.client.Pause(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		resume("cache")
		r.after(time.Minute)
		if s := r.mon.Stats(); runs.Load() != 0 || !s.Paused || !s.ByOperator || len(s.PausedBy) != 0 {
			t.Errorf("paused by an operator: %d runs, %v by %q", runs.Load(), s.Paused, s.PausedBy)
		}
		if err := r.client.Resume(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		if runs.Load() != 1 {
			t.Errorf("%d runs", runs.Load())
		}
	})
}

func TestPauseAndResumeOfPoolAndTask(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := map[string]int{}
		var mu sync.Mutex // handlers run at once; they are over when runs is read
		h := func(_ context.Context, job raw) error {
			mu.Lock()
			defer mu.Unlock()
			runs[job.Task]++
			return nil
		}
		r.handle("a", h)
		r.handle("b", h)
		if err := r.client.Pause(r.ctx(), "a"); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			r.send("a", nil)
			r.send("b", nil)
		}
		r.after(time.Minute)
		if runs["a"] != 0 || runs["b"] != 5 {
			t.Errorf("a paused: %v", runs)
		}
		if err := r.client.Resume(r.ctx(), "a"); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if runs["a"] != 5 {
			t.Errorf("a resumed: %v", runs)
		}
		if err := r.client.Pause(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		r.settle() // the answer comes before the demand is taken back
		r.send("b", nil)
		r.after(time.Minute)
		var receives int
		r.inspect(func(q *queue) { receives = q.messages[0].receives })
		if runs["b"] != 5 || receives != 0 || !r.mon.Stats().Paused {
			t.Errorf("pool paused: %v, %d receives", runs, receives)
		}
		if err := r.client.Resume(r.ctx(), ""); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if runs["b"] != 6 {
			t.Errorf("pool resumed: %v", runs)
		}
		if err := r.client.Pause(r.ctx(), "unknown"); err == nil {
			t.Error("an unknown task was paused")
		}
	})
}

func TestConcurrencyOfATaskDoesNotStarveOthers(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4}, func(r *rig) {
		var now, over, others atomic.Int32
		r.handle("limited", func(context.Context, raw) error {
			if now.Add(1) > 1 {
				over.Add(1)
			}
			time.Sleep(time.Minute)
			now.Add(-1)
			return nil
		}, task.Concurrency(1))
		r.handle("other", func(context.Context, raw) error { others.Add(1); return nil })
		for range 10 {
			r.send("limited", nil)
		}
		for range 10 {
			r.send("other", nil)
		}
		r.after(time.Second)
		if now.Load() != 1 || others.Load() != 10 {
			t.Errorf("%d limited at once, %d others ran", now.Load(), others.Load())
		}
		r.after(20 * time.Minute)
		if r.left() != 0 || over.Load() != 0 {
			t.Errorf("%d left, %d times more than one at once", r.left(), over.Load())
		}
	})
}

func TestTooManyWaitersAreGivenBack(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 5, MaxHeld: 3}, func(r *rig) {
		var runs atomic.Int64
		r.handle("t", func(context.Context, raw) error {
			if runs.Add(1) <= 5 {
				return errors.New("no")
			}
			return nil
		})
		for range 5 {
			r.send("t", nil)
		}
		r.settle()
		if s := r.mon.Stats(); s.Held != 3 {
			t.Errorf("%d held, want 3", s.Held)
		}
		r.after(time.Minute)
		if runs.Load() != 10 || r.left() != 0 {
			t.Errorf("%d runs, %d left", runs.Load(), r.left())
		}
	})
}

func TestPriorityStartsFirst(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		var order []string
		h := func(_ context.Context, job raw) error {
			order = append(order, job.Task)
			if job.Attempt == 1 && job.Task != "blocker" {
				return task.Snooze(5 * time.Second)
			}
			if job.Task == "blocker" {
				time.Sleep(10 * time.Second)
			}
			return nil
		}
		r.handle("low", h, task.Priority(-1))
		r.handle("mid", h)
		r.handle("high", h, task.Priority(7))
		r.handle("blocker", h, task.Priority(9))
		r.send("low", nil)
		r.send("mid", nil)
		r.send("high", nil)
		r.settle()
		r.send("blocker", nil) // all three become due behind it
		r.after(time.Minute)
		if got := fmt.Sprint(order); got != "[low mid high blocker high mid low]" {
			t.Errorf("order %s", got)
		}
	})
}

// died puts a task on the queue as a process leaves it that died of it, or lost
// the answer of its receive, so many times: each took a lease.
func (r *rig) died(times int, name string, args any) {
	r.t.Helper()
	ago := time.Duration(times) * r.q.lease // it was due when it came first
	out, err := task.Encode(name, args, time.Now().Add(-ago))
	if err != nil {
		r.t.Fatal(err)
	}
	r.inspect(func(q *queue) {
		m := q.made(out.Body, out.Attributes, "", 0)
		m.receives, m.first = times, time.Now().Add(-ago).Truncate(time.Millisecond)
		q.messages = append(q.messages, m)
	})
}

func TestEventsFollowAMessage(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		sub := r.mon.Events(100)
		small := r.mon.Events(1)
		r.handle("t", func(_ context.Context, job raw) error {
			if job.Attempt == 1 {
				return errors.New("no")
			}
			return nil
		})
		out := r.send("t", nil)
		r.after(time.Minute)
		sub.Close()
		sub.Close()
		var kinds []string
		for e := range sub.C {
			if e.ExecID != out.ExecID || e.MessageID == "" || e.At.IsZero() {
				t.Errorf("%+v", e)
			}
			kinds = append(kinds, string(e.Kind))
		}
		if got := strings.Join(kinds, " "); got != "received started failed held started succeeded settled" {
			t.Errorf("events: %s", got)
		}
		if small.Dropped() != 6 {
			t.Errorf("%d dropped, want 6", small.Dropped())
		}
		small.Close()
	})
}

func TestTheLeaseOfATaskIsSentToThePoller(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return nil }, task.Lease(10*time.Second))
		r.send("t", nil)
		r.settle()
		r.inspect(func(q *queue) {
			if len(q.longer) != 1 || q.longer[0].For != 10*time.Second || q.longer[0].Lease != 1 {
				t.Errorf("%+v", q.longer)
			}
		})
	})
}

func TestCrowdedQueueIsPostponedByDelayedCopies(t *testing.T) {
	bubble(t, dispatcher.Settings{PostponedShare: 0.1}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return nil })
		r.inspect(func(q *queue) { q.inFlight = 20_000 })
		for range 10 {
			r.send("t", nil, task.At(time.Now().Add(48*time.Hour)))
			r.after(11 * time.Second)
		}
		r.inspect(func(q *queue) {
			if last := q.settles[len(q.settles)-1]; last.Release || len(last.Send) != 1 || last.Send[0].Delay != 15*time.Minute {
				t.Errorf("postponed by %+v", last)
			}
		})
	})
}

func TestResizeStartsWhatWaitsAndNeverEndsWhatRuns(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1, MaxWorkers: 1}, func(r *rig) {
		var running, most atomic.Int32
		r.handle("t", func(ctx context.Context, _ raw) error {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Minute)
			return nil
		})
		for range 12 {
			r.send("t", nil)
		}
		r.after(time.Second)
		resize := func(workers, limit int) {
			t.Helper()
			if err := r.client.Resize(r.ctx(), workers, limit, 100); err != nil {
				t.Fatal(err)
			}
			r.after(time.Second)
		}
		resize(4, 4)
		if running.Load() != 4 {
			t.Errorf("%d run with 4 workers", running.Load())
		}
		resize(2, 2)
		if running.Load() != 4 {
			t.Errorf("%d of 4 go on after a resize to 2", running.Load())
		}
		r.after(58 * time.Second) // the first four are over
		r.after(10 * time.Second)
		if running.Load() != 2 {
			t.Errorf("%d run with 2 workers", running.Load())
		}
		if err := r.client.Resize(r.ctx(), -1, 2, 100); err == nil || !strings.Contains(err.Error(), "tasks.workers") {
			t.Errorf("got %v", err)
		}
		r.settle()
		if most.Load() != 4 {
			t.Errorf("at most %d ran at once", most.Load())
		}
	})
}

func TestNoExecIDCancelsNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(ctx context.Context, _ raw) error { <-ctx.Done(); return ctx.Err() })
		r.send("t", nil)
		r.settle()
		if n, err := r.client.CancelExecution(r.ctx(), "", "a form without its field"); n != 0 || err == nil {
			t.Errorf("cancelled %d executions: %v", n, err)
		}
		if n, err := r.client.SnoozeExecution(r.ctx(), "", time.Hour); n != 0 || err == nil {
			t.Errorf("snoozed %d executions: %v", n, err)
		}
		if s := r.mon.Stats(); s.Running != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheNextParkedRunsWhenTheOneBeforeItWasCancelled(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2, MaxWorkers: 2}, func(r *rig) {
		var ran []string
		free := make(chan struct{})
		r.handle("one", func(_ context.Context, job raw) error {
			ran = append(ran, string(job.Args))
			if string(job.Args) == "1" {
				<-free
			}
			return nil
		}, task.Concurrency(1))
		r.handle("fills", func(context.Context, raw) error { time.Sleep(time.Hour); return nil }, task.Priority(1))
		r.send("one", 1)
		r.settle()
		second := r.send("one", 2)
		r.settle()
		r.send("one", 3)
		r.settle()
		r.send("fills", nil)
		r.settle()
		r.inspect(func(q *queue) { q.demand++ })
		r.send("fills", nil) // takes the slot that the first leaves
		r.settle()
		close(free)
		r.settle()
		if n, err := r.client.CancelExecution(r.ctx(), second.ExecID, ""); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.after(3 * time.Hour)
		if got := strings.Join(ran, " "); got != "1 3" {
			t.Errorf("ran %s, %d left", got, r.left())
		}
	})
}
