package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
	"go.opentelemetry.io/otel/trace"
)

func TestPanicKeepsItsStackAndCostsOneAttempt(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error {
			if runs++; runs == 1 {
				panicHere()
			}
			return nil
		})
		r.send("t", nil)
		r.after(time.Minute)
		if runs != 2 || r.left() != 0 || !strings.Contains(r.log.String(), "panicHere") {
			t.Errorf("%d runs, %d left, log %s", runs, r.left(), r.log)
		}
		if s := r.mon.Stats().Tasks[1]; s.Panicked != 1 || s.Failed != 1 || s.Succeeded != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func panicHere() { panic("boom") }

func TestGoexitIsAFailureOfAFunctionAndOfATaskActor(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("f", func(context.Context, raw) error { runtime.Goexit(); return nil }, task.MaxFailures(2))
		props := actor.PropsFromFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				runtime.Goexit()
			}
		})
		if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("a", task.MaxFailures(2)), props); err != nil {
			t.Fatal(err)
		}
		r.send("f", nil)
		r.send("a", nil)
		r.after(time.Minute)
		dead := r.dead()
		if len(dead) != 2 || r.left() != 0 {
			t.Fatalf("%d dead, %d left", len(dead), r.left())
		}
		for _, m := range dead {
			if m.Failures != 2 || !strings.Contains(m.LastError, "Goexit") {
				t.Errorf("%+v", m)
			}
		}
	})
}

func TestHangingHandlerIsAbandonedWithItsStack(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		free := make(chan struct{})
		var runs atomic.Int32
		r.handle("t", func(context.Context, raw) error {
			if runs.Add(1) == 1 {
				waitDeaf(free)
			}
			return nil
		}, task.Deadline(10*time.Second), task.Wait(0, task.None))
		r.send("t", nil)
		r.after(12 * time.Second)
		if s := r.mon.Stats(); s.Running != 1 {
			t.Errorf("gone before its grace is over: %+v", s)
		}
		r.after(time.Minute)
		s := r.mon.Stats()
		if runs.Load() != 2 || r.left() != 0 || s.Abandoned != 1 || s.Running != 0 || s.Tasks[1].Abandoned != 1 {
			t.Errorf("%d runs, %d left, %+v", runs.Load(), r.left(), s)
		}
		if !strings.Contains(r.log.String(), "waitDeaf") {
			t.Errorf("the stack is not in the log: %s", r.log)
		}
		close(free)
		r.settle()
		if n := r.mon.Stats().Abandoned; n != 0 {
			t.Errorf("%d abandoned after the handler's end", n)
		}
	})
}

func waitDeaf(free chan struct{}) { <-free }

func TestHangingTaskActorIsAbandonedAndHoldsUpNoStop(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		free := make(chan struct{})
		props := actor.PropsFromFunc(func(ctx actor.Context) {
			if m, ok := ctx.Message().(*dispatcher.Execute); ok {
				if m.Info.Attempt == 1 {
					<-free
				}
				ctx.Respond(dispatcher.Done{})
			}
		})
		if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("t", task.Deadline(time.Second)), props); err != nil {
			t.Fatal(err)
		}
		r.send("t", nil)
		r.after(time.Minute)
		if r.left() != 0 {
			t.Error("not run again")
		}
		r.send("t", nil) // hangs again
		r.settle()
		if _, err := r.client.Drain(r.ctx(), time.Now()); err != nil {
			t.Error(err)
		}
		r.system.Root.Stop(r.pid)
		r.settle()
		if _, ok := r.system.ProcessRegistry.GetLocal(r.pid.Id); ok {
			t.Error("the dispatcher cannot stop")
		}
		close(free)
	})
}

func TestDeadlineEndsTheCtxAsADeadline(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var err, cause error
		var left time.Duration
		r.handle("t", func(ctx context.Context, job raw) error {
			d, _ := ctx.Deadline()
			left = time.Until(d)
			<-ctx.Done()
			err, cause = ctx.Err(), context.Cause(ctx)
			return err
		}, task.Deadline(3*time.Second), task.MaxFailures(1))
		r.send("t", nil)
		r.after(time.Minute)
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(cause, dispatcher.ErrDeadline) || left != 3*time.Second {
			t.Errorf("%v, %v, %v", err, cause, left)
		}
		if dead := r.dead(); len(dead) != 1 || !strings.Contains(dead[0].LastError, "deadline") {
			t.Errorf("%+v", dead)
		}
	})
}

func TestAttemptEndsBeforeTwelveHours(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var took []time.Duration
		r.handle("t", func(ctx context.Context, _ raw) error {
			begin := time.Now()
			<-ctx.Done()
			took = append(took, time.Since(begin))
			return context.Cause(ctx)
		}, task.MaxFailures(2))
		r.send("t", nil)
		r.after(30 * time.Hour)
		dead := r.dead()
		if len(took) != 2 || min(took[0], took[1]) < 11*time.Hour || max(took[0], took[1]) > 12*time.Hour || len(dead) != 1 || !strings.Contains(dead[0].LastError, "12 hours") {
			t.Errorf("%v, %+v", took, dead)
		}
	})
}

func TestExpiringLeaseIsCarriedOnByACopy(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return nil })
		if err := r.client.Pause(r.ctx(), "t"); err != nil {
			t.Fatal(err)
		}
		r.send("t", nil)
		r.after(11 * time.Hour)
		r.system.Root.Send(r.pid, &poller.LeaseExpiring{Lease: 1, At: time.Now().Add(5 * time.Minute)})
		r.settle()
		if err := r.client.Resume(r.ctx(), "t"); err != nil {
			t.Fatal(err)
		}
		r.settle()
		r.inspect(func(q *queue) {
			if runs != 1 || len(q.settles) != 2 || len(q.settles[0].Send) != 1 {
				t.Errorf("%d runs, settled %+v", runs, q.settles)
			}
		})
	})
}

func TestLostLeaseCancelsThatVeryExecution(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var causes []error
		release := make(chan struct{})
		r.handle("t", func(ctx context.Context, _ raw) error {
			select {
			case <-ctx.Done():
				causes = append(causes, context.Cause(ctx))
				return ctx.Err()
			case <-release:
				return nil
			}
		})
		r.send("t", 1)
		r.send("t", 2)
		r.settle()
		begin := time.Now()
		r.system.Root.Send(r.pid, &poller.LeaseLost{Lease: 1, Err: errors.New("extension refused")})
		r.settle()
		if len(causes) != 1 || !errors.Is(causes[0], dispatcher.ErrLeaseLost) || time.Since(begin) > time.Second {
			t.Errorf("causes %v after %v", causes, time.Since(begin))
		}
		r.inspect(func(q *queue) {
			if len(q.settles) != 0 {
				t.Errorf("a late failure settled %+v", q.settles[0])
			}
		})
		close(release)
		r.settle()
		if s := r.mon.Stats(); s.LostLeases != 1 || s.Running != 0 || r.left() != 1 {
			t.Errorf("%+v, %d left", s, r.left())
		}
	})
}

func TestLateSuccessAfterALostLeaseStillTriesToDelete(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		release := make(chan struct{})
		r.handle("t", func(context.Context, raw) error { <-release; return nil })
		r.send("t", 1)
		r.settle()
		r.system.Root.Send(r.pid, &poller.LeaseLost{Lease: 1})
		r.settle()
		close(release)
		r.settle()
		r.inspect(func(q *queue) {
			if len(q.settles) != 1 || q.settles[0].Release {
				t.Errorf("settles %+v", q.settles)
			}
		})
	})
}

func TestOpenBreakerWaitsAtLeastItsTimeAndSpendsBySetting(t *testing.T) {
	for _, spend := range []bool{false, true} {
		bubble(t, dispatcher.Settings{OpenBreakerSpends: spend}, func(r *rig) {
			var at []time.Time
			var failures []int
			r.handle("t", func(_ context.Context, job raw) error {
				at = append(at, time.Now())
				failures = append(failures, job.Failures)
				if len(at) < 3 {
					return fmt.Errorf("post: %w", openErr{25 * time.Second})
				}
				return nil
			}, task.MaxFailures(3))
			r.send("t", nil)
			r.after(10 * time.Minute)
			want := []int{0, 0, 0}
			if spend {
				want = []int{0, 1, 2}
			}
			if fmt.Sprint(failures) != fmt.Sprint(want) {
				t.Errorf("spend %v: failures %v, want %v", spend, failures, want)
			}
			if d := at[1].Sub(at[0]); d != 25*time.Second {
				t.Errorf("waited %v", d)
			}
		})
	}
	bubble(t, dispatcher.Settings{}, func(r *rig) { // the task's own policy goes before
		runs := 0
		r.handle("t", func(context.Context, raw) error { runs++; return openErr{time.Second} }, task.MaxFailures(2), task.SpendOnOpenBreaker(true))
		r.send("t", nil)
		r.after(10 * time.Minute)
		if runs != 2 || len(r.dead()) != 1 {
			t.Errorf("%d runs", runs)
		}
	})
}

func TestCancelAndSnoozeOfAHandler(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		var at []time.Time
		r.handle("t", func(_ context.Context, job raw) error {
			at = append(at, time.Now())
			switch runs++; runs {
			case 1:
				return task.Snooze(20 * time.Second)
			case 2:
				return task.Snooze(time.Hour)
			}
			if job.Failures != 0 || job.Attempt != runs {
				t.Errorf("%+v", job.Info)
			}
			return task.Cancel(errors.New("gone"))
		}, task.MaxFailures(1), task.OnFailIn("p", "f"))
		r.send("t", nil)
		r.after(2 * time.Hour)
		if runs != 3 || at[1].Sub(at[0]) != 20*time.Second || at[2].Sub(at[1]) < time.Hour || at[2].Sub(at[1]) > time.Hour+2*time.Second {
			t.Errorf("%d runs at %v", runs, at)
		}
		if list := r.sentTo("p"); len(list) != 1 || !strings.Contains(list[0].LastError, "gone") {
			t.Errorf("on_fail %+v", list)
		}
	})
}

func TestArgsThatDoNotFitAreDeadLetteredAtOnce(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		h := task.Erase(func(context.Context, task.Job[struct{ ID int }]) error { t.Error("ran"); return nil })
		r.handle("t", h, task.OnFailIn("p", "f"))
		r.send("t", map[string]string{"ID": "seven"})
		r.settle()
		if dead := r.dead(); len(dead) != 1 || dead[0].Reason != task.ReasonUndecodable || !strings.Contains(dead[0].LastError, "does not fit") {
			t.Errorf("%+v", dead)
		}
	})
}

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
		if n, err := r.client.CancelExecution(r.ctx(), "nobody", ""); n != 0 || err == nil {
			t.Errorf("cancelling nobody: %d, %v", n, err)
		}
	})
}

func TestPauseAndResumeOfPoolAndTask(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := map[string]int{}
		h := func(_ context.Context, job raw) error { runs[job.Task]++; return nil }
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
		if err := r.client.Pause(r.ctx(), "nobody"); err == nil {
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
		runs := 0
		r.handle("t", func(context.Context, raw) error {
			if runs++; runs <= 5 {
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
		if runs != 10 || r.left() != 0 {
			t.Errorf("%d runs, %d left", runs, r.left())
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

func TestCrashSuspectRunsAlone(t *testing.T) {
	for _, mode := range []string{"alone", "together"} {
		bubble(t, dispatcher.Settings{Workers: 3, CrashSuspects: mode}, func(r *rig) {
			var running, beside atomic.Int32
			h := func(ctx context.Context, job raw) error {
				if n := running.Add(1); job.Task == "suspect" && n > 1 {
					beside.Add(1)
				}
				time.Sleep(5 * time.Second)
				if ctx.Err() == nil {
					running.Add(-1)
				}
				return nil
			}
			r.handle("suspect", h)
			r.handle("other", h)
			r.send("suspect", nil)
			r.settle()
			r.crash() // under it
			r.after(90 * time.Second)
			running.Store(0)
			r.up()
			r.handle("suspect", h)
			r.handle("other", h)
			for range 60 { // the suspect comes back between them
				r.send("other", nil)
				r.after(time.Second)
			}
			r.after(2 * time.Minute)
			if r.left() != 0 || mode == "alone" && beside.Load() != 0 || mode == "together" && beside.Load() == 0 {
				t.Errorf("%s: ran %d times beside others, %d left", mode, beside.Load(), r.left())
			}
		})
	}
}

func TestGivenBackByThisProcessIsNoSuspect(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2}, func(r *rig) {
		runs := 0
		r.handle("t", func(context.Context, raw) error {
			if runs++; runs == 1 {
				return errors.New("no")
			}
			return nil
		}, task.Wait(time.Minute, task.None))
		r.handle("long", func(context.Context, raw) error { time.Sleep(time.Hour); return nil })
		r.send("t", nil)
		r.settle()
		r.send("long", nil)
		r.after(61 * time.Second)
		if runs != 2 {
			t.Errorf("%d runs: it waits to be alone", runs)
		}
	})
}

func TestSuspectDoesNotWaitForEverForALongTask(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2, HoldLimit: 30 * time.Second}, func(r *rig) {
		var ran atomic.Bool
		h := func(_ context.Context, job raw) error {
			if job.Task == "long" {
				time.Sleep(time.Hour)
			} else {
				ran.Store(true)
				if job.Attempt == 1 {
					time.Sleep(time.Hour)
				}
			}
			return nil
		}
		r.handle("s", h)
		r.send("s", nil)
		r.settle()
		r.crash()
		r.up()
		r.handle("s", h)
		r.handle("long", h)
		r.send("long", nil)
		r.after(125 * time.Second)
		ran.Store(false)
		r.after(35 * time.Second)
		if !ran.Load() {
			t.Error("the suspect still waits")
		}
	})
}

func TestDispatcherRestartKeepsTheRegistryAndLosesNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("t", func(ctx context.Context, _ raw) error {
			if runs++; runs == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		r.send("t", nil)
		r.settle()
		r.system.Root.Send(r.pid, &dispatcher.Register{Handler: nil, Spec: task.NewSpec("x"), Props: nil})
		restart(r)
		r.settle()
		if s := r.mon.Stats(); s.Restarts != 1 || s.Status != dispatcher.Running {
			t.Errorf("%+v", s)
		}
		r.after(time.Minute)
		if runs != 2 || r.left() != 0 {
			t.Errorf("%d runs, %d left", runs, r.left())
		}
	})
}

// restart makes the dispatcher's supervisor restart it.
func restart(r *rig) {
	process, _ := r.system.ProcessRegistry.GetLocal(r.pid.Id)
	process.SendSystemMessage(r.pid, &actor.Restart{})
}

func TestEventsTellTheStory(t *testing.T) {
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

func TestTaskLeaseIsTold(t *testing.T) {
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

func TestTaskActorThatStopsOrForwardsOrPanicsAtStart(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		spawn := func(name string, f func(ctx actor.Context)) {
			if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec(name, task.MaxFailures(2)), actor.PropsFromFunc(f)); err != nil {
				t.Fatal(err)
			}
			r.send(name, nil)
		}
		helper := r.system.Root.Spawn(actor.PropsFromFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				ctx.Respond(dispatcher.Done{})
			}
		}))
		defer r.system.Root.Stop(helper)
		spawn("stops", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				ctx.Stop(ctx.Self())
			}
		})
		spawn("forwards", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				ctx.Forward(helper)
			}
		})
		spawn("panics at its start", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*actor.Started); ok {
				panic("no start")
			}
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				t.Error("a stale Execute was run")
			}
		})
		spawn("answers nonsense", func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				ctx.Respond(42)
			}
		})
		if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("cannot be made", task.MaxFailures(2)), actor.PropsFromProducer(func() actor.Actor { panic("no actor") })); err != nil {
			t.Fatal(err)
		}
		r.send("cannot be made", nil)
		r.after(time.Minute)
		got := map[string]string{}
		for _, m := range r.dead() {
			got[m.Name] = m.LastError
			if m.Failures != 2 {
				t.Errorf("%+v", m)
			}
		}
		for name, want := range map[string]string{"stops": "without an answer", "panics at its start": "no start", "answers nonsense": "int", "cannot be made": "no actor"} {
			if !strings.Contains(got[name], want) {
				t.Errorf("%s: %q, want %q in it", name, got[name], want)
			}
		}
		if len(got) != 4 || r.left() != 0 {
			t.Errorf("dead %v, %d left", got, r.left())
		}
		synctest.Wait()
	})
}

func TestTraceOfTheSenderIsInTheCtxAndOnCopies(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ids []string
		r.handle("t", func(ctx context.Context, _ raw) error {
			ids = append(ids, trace.SpanContextFromContext(ctx).TraceID().String())
			if len(ids) == 1 {
				return task.Snooze(time.Minute) // by a copy
			}
			return nil
		})
		r.inspect(func(q *queue) {
			out, err := task.Encode("t", nil, time.Now())
			if err != nil {
				t.Error(err)
			}
			m := q.made(out.Body, out.Attributes, "", 0)
			m.trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
			q.messages = append(q.messages, m)
		})
		r.after(2 * time.Minute)
		if fmt.Sprint(ids) != "[5759e988bd862e3fe1be46a994272793 5759e988bd862e3fe1be46a994272793]" {
			t.Errorf("traces %v", ids)
		}
	})
}
