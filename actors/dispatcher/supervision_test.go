package dispatcher_test

import (
	"context"
	"errors"
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

func TestTooManyAbandonedHandlersAreAnError(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4, MaxAbandoned: 2}, func(r *rig) {
		free := make(chan struct{})
		r.handle("deaf", func(context.Context, raw) error { waitDeaf(free); return nil }, task.Deadline(time.Second), task.MaxFailures(1))
		r.handle("t", func(context.Context, raw) error { return nil })
		r.send("deaf", 1)
		r.send("deaf", 2)
		r.after(time.Minute)
		if s := r.mon.Stats(); s.Status != dispatcher.Failing || s.Abandoned != 2 {
			t.Errorf("%+v", s)
		}
		for range 5 { // the demand told before may still be met
			r.send("t", nil)
		}
		close(free)
		r.settle()
		if s := r.mon.Status(); s != dispatcher.Running || r.left() != 0 {
			t.Errorf("%v, %d left", s, r.left())
		}
	})
}

func TestSpecMadeByHandGetsTheDefaults(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		if _, err := r.client.Register(r.ctx(), task.Spec{Name: "t"}, func(context.Context, raw) error { runs++; return errors.New("no") }); err != nil {
			t.Fatal(err)
		}
		r.send("t", nil)
		r.after(time.Hour)
		if runs != 10 {
			t.Errorf("%d runs, want the default 10", runs)
		}
	})
}
