package dispatcher_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// builders of middleware that do what they should not.
var builders = map[string]task.Middleware{
	"the setting is missing": func(task.RawHandler) task.RawHandler { panic("the setting is missing") },
	"Goexit":                 func(task.RawHandler) task.RawHandler { runtime.Goexit(); return nil },
}

func TestMiddlewareThatPanicsWhenItIsBuiltIsAnErrorOfNew(t *testing.T) {
	_, err := dispatcher.New(dispatcher.Config{
		Pool: "pool", Middleware: []task.Middleware{builders["the setting is missing"]},
		Tasks: []*dispatcher.Register{{Spec: task.NewSpec("the-job"), Handler: func(context.Context, raw) error { return nil }}},
	})
	if err == nil || !strings.Contains(err.Error(), "the-job") || !strings.Contains(err.Error(), "the setting is missing") {
		t.Error(err)
	}
}

func TestMiddlewareThatPanicsWhenItIsBuiltIsAnErrorOfRegister(t *testing.T) {
	for want, mw := range builders {
		bubble(t, dispatcher.Settings{}, func(r *rig) {
			_, err := r.client.Register(r.ctx(), task.NewSpec("the-job", task.Use(mw)), func(context.Context, raw) error { return nil })
			if err == nil || !strings.Contains(err.Error(), "the-job") || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v", want, err)
			}
			receiver := actor.PropsFromFunc(func(actor.Context) {})
			first := true
			receiver.Configure(actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
				if !first {
					panic("the setting is missing")
				}
				first = false
				return next
			}))
			if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("the-actor"), receiver); err == nil || !strings.Contains(err.Error(), "the-actor") {
				t.Error(err)
			}
			if s := r.mon.Stats(); s.Restarts != 0 || r.mon.Registered("the-job") {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestMiddlewareThatIsBuiltSlowlyHoldsUpNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		ran := 0
		r.handle("t", func(context.Context, raw) error { ran++; return nil })
		slow := func(next task.RawHandler) task.RawHandler { time.Sleep(time.Minute); return next }
		h := func(context.Context, raw) error { t.Error("the older registration ran"); return nil }
		r.system.Root.Send(r.pid, &dispatcher.Register{Spec: task.NewSpec("late", task.Use(slow)), Handler: h})
		r.send("t", nil)
		r.settle()
		if ran != 1 {
			t.Error("another task waits")
		}
		r.handle("late", func(context.Context, raw) error { ran++; return nil }) // is faster, and later
		r.after(2 * time.Minute)
		r.send("late", nil)
		r.after(time.Minute)
		if ran != 2 {
			t.Errorf("%d runs", ran)
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
