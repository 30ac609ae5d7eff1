package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

func TestAFailureSentToADeadChildIsNotLost(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4}, func(r *rig) {
		fail := make(chan struct{})
		runs := 0
		r.handle("t", func(context.Context, raw) error {
			if runs++; runs == 1 {
				<-fail
				return errors.New("no")
			}
			return nil
		}, task.Wait(time.Second, task.None))
		r.send("t", nil)
		r.settle()
		child := r.child()
		enter, leave := r.block()
		<-enter
		r.system.Root.Stop(child)
		close(fail) // the handler's failure comes after its child has ended
		r.settle()
		close(leave)
		r.after(time.Minute)
		if s := r.mon.Stats(); runs != 2 || r.left() != 0 || s.Running != 0 {
			t.Errorf("%d runs, %d left, %+v", runs, r.left(), s)
		}
	})
}

func TestTheActorOfAFunctionServesTheNextAttemptUnlessItFailed(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		fail := false
		r.handle("t", func(context.Context, raw) error {
			if fail {
				fail = false
				return errors.New("no")
			}
			return nil
		}, task.Wait(time.Second, task.None))
		serves := func() *actor.PID {
			r.send("t", nil)
			r.settle()
			return r.child()
		}
		first := serves()
		if second := serves(); !second.Equal(first) {
			t.Errorf("after a run without a failure the next one had %v, want %v again", second, first)
		}
		r.system.Root.Stop(first)
		r.settle()
		second := serves()
		if second.Equal(first) {
			t.Error("an actor that something else has stopped served an attempt")
		}
		fail = true
		r.send("t", nil)
		r.after(time.Minute)
		if third := r.child(); third.Equal(second) {
			t.Error("an actor that failed served another attempt")
		}
		if s := r.mon.Stats(); s.Tasks[1].Failed != 1 || s.Tasks[1].Succeeded != 4 || r.left() != 0 {
			t.Errorf("%+v, %d left", s, r.left())
		}
	})
}

func TestAnAbandonedTaskActorIsCountedWhileItRunsOnly(t *testing.T) {
	bubble(t, dispatcher.Settings{MaxAbandoned: 2}, func(r *rig) {
		free := make(chan struct{})
		props := func(hangs bool) *actor.Props {
			return actor.PropsFromFunc(func(ctx actor.Context) {
				if _, ok := ctx.Message().(*dispatcher.Execute); ok && hangs {
					<-free
				} // no answer
			})
		}
		for name, hangs := range map[string]bool{"silent": false, "hangs": true} {
			spec := task.NewSpec(name, task.Deadline(time.Second), task.MaxFailures(1))
			if _, err := r.client.RegisterProps(r.ctx(), spec, props(hangs)); err != nil {
				t.Fatal(err)
			}
		}
		r.send("silent", nil)
		r.send("hangs", nil)
		r.after(time.Minute)
		if s := r.mon.Stats(); s.Abandoned != 1 || s.Tasks[1].Abandoned+s.Tasks[2].Abandoned != 2 {
			t.Errorf("one of them still runs: %+v", s)
		}
		close(free)
		r.settle()
		if s := r.mon.Stats(); s.Abandoned != 0 || s.Status != dispatcher.Running {
			t.Errorf("none runs: %+v", s)
		}
	})
}

func panicHere() { panic("boom") }

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
