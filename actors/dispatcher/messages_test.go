package dispatcher_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

func TestCommandsAreTakenAsPointersAndAsValues(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		listener := r.system.Root.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
		defer r.system.Root.Stop(listener)
		h := func(context.Context, raw) error { return nil }
		for _, c := range [][2]any{
			{&dispatcher.Register{Spec: task.NewSpec("t"), Handler: h}, dispatcher.Register{Spec: task.NewSpec("t"), Handler: h}},
			{&dispatcher.Pause{}, dispatcher.Pause{}},
			{&dispatcher.Resume{}, dispatcher.Resume{}},
			{&dispatcher.Resize{Workers: 4}, dispatcher.Resize{Workers: 4}},
			{&dispatcher.CancelExecution{ExecID: "x"}, dispatcher.CancelExecution{ExecID: "x"}},
			{&dispatcher.SnoozeExecution{ExecID: "x"}, dispatcher.SnoozeExecution{ExecID: "x"}},
			{&dispatcher.Inspect{}, dispatcher.Inspect{}},
			{&dispatcher.GetStats{}, dispatcher.GetStats{}},
			{&dispatcher.Subscribe{To: listener}, dispatcher.Subscribe{To: listener}},
			{&dispatcher.Unsubscribe{To: listener}, dispatcher.Unsubscribe{To: listener}},
			{&dispatcher.Drain{}, dispatcher.Drain{}},
		} {
			for _, m := range c {
				answer, err := actors.Ask[any](r.ctx(), r.system, r.pid, m)
				if _, unknown := errors.AsType[*actors.Unhandled](err); unknown || answer == nil {
					t.Errorf("%T: %v, %v", m, answer, err)
				}
			}
		}
	})
}

func TestAMessageThatItDoesNotTakeIsAnsweredSo(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		_, err := actors.Ask[any](r.ctx(), r.system, r.pid, "how are you?")
		if u, ok := errors.AsType[*actors.Unhandled](err); !ok || u.Message != "how are you?" || u.Hint == "" {
			t.Error(err)
		}
		r.settle() // the answer comes before the count
		if s := r.mon.Stats(); s.Unhandled != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnAskerWithASynchronizedDispatcherHoldsUpNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		ran := 0
		r.handle("t", func(context.Context, raw) error { ran++; return nil })
		asker := r.system.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case string:
				c.Request(r.pid, &dispatcher.GetStats{})
			case *dispatcher.Stats:
				time.Sleep(time.Hour)
			}
		}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(300))))
		r.system.Root.Send(asker, "ask")
		r.settle()
		r.send("t", nil)
		r.settle()
		if ran != 1 {
			t.Error("the dispatcher waits for the one who asked it")
		}
		r.after(2 * time.Hour)
		r.system.Root.Stop(asker)
		r.settle()
	})
}
