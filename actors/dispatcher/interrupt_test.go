package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
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

// After a sleep of the machine, which the poller notices by the wall clock, what
// had a time of its own keeps it.
func TestWaitsAndDeadlinesEndOnTimeAfterASleep(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		ends := map[string]time.Time{}
		var cause error
		r.handle("waits", func(context.Context, task.Job[json.RawMessage]) error {
			if ends["waits"].IsZero() {
				ends["waits"] = time.Now()
				return errors.New("later")
			}
			ends["waits"] = time.Now()
			return nil
		}, task.Wait(25*time.Second, task.None))
		for name, limit := range map[string]time.Duration{"over": 10 * time.Second, "soon": 30 * time.Second} {
			r.handle(name, func(ctx context.Context, _ task.Job[json.RawMessage]) error {
				<-ctx.Done()
				ends[name], cause = time.Now(), context.Cause(ctx)
				return nil
			}, task.Deadline(limit))
		}
		begun := time.Now()
		for _, name := range []string{"waits", "over", "soon"} {
			r.send(name, nil)
		}
		time.Sleep(time.Second)
		r.system.Root.Send(r.pid, &poller.Slept{For: 20 * time.Second})
		time.Sleep(time.Minute)
		synctest.Wait()
		for name, want := range map[string]time.Duration{"waits": 5 * time.Second, "over": time.Second, "soon": 10 * time.Second} {
			if got := ends[name].Sub(begun); got < want || got > want+time.Second {
				t.Errorf("%s ends %v after its start, want about %v: twenty seconds of it were slept", name, got, want)
			}
		}
		if !errors.Is(cause, dispatcher.ErrDeadline) {
			t.Errorf("the ctx ended by %v, want the deadline", cause)
		}
	})
}

func waitDeaf(free chan struct{}) { <-free }

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
		for range 5 { // the demand sent before may still be met
			r.send("t", nil)
		}
		close(free)
		r.settle()
		if s := r.mon.Status(); s != dispatcher.Running || r.left() != 0 {
			t.Errorf("%v, %d left", s, r.left())
		}
	})
}
