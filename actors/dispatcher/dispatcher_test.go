package dispatcher_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

func TestAPermanentDispatcherComesBackUntilItsDrain(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.system.Root.Stop(r.pid)
		r.settle()
		r.mon = dispatcher.NewMonitor()
		runs := 0
		props, err := dispatcher.New(dispatcher.Config{
			Pool: "pool", Poller: r.queuePID, Monitor: r.mon, Permanent: func() bool { return true }, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
			Tasks: []*dispatcher.Register{{Spec: task.NewSpec("t"), Handler: func(ctx context.Context, _ raw) error {
				if runs++; runs == 1 {
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if r.pid, err = r.system.Root.SpawnNamed(props, "permanent"); err != nil {
			t.Fatal(err)
		}
		r.client = dispatcher.NewClient(r.system, r.pid)
		r.send("t", nil)
		r.settle()
		for range 2 {
			r.system.Root.Stop(r.pid)
			r.settle()
			if s, err := r.client.Stats(r.ctx()); err != nil || s.Status != dispatcher.Running {
				t.Fatalf("%+v, %v", s, err)
			}
		}
		r.after(time.Minute)
		if s := r.mon.Stats(); s.Restarts != 2 || s.Running != 0 || runs != 2 || r.left() != 0 {
			t.Errorf("%d runs, %d left, %+v", runs, r.left(), s)
		}
		if _, err := r.client.Drain(r.ctx(), time.Time{}); err != nil {
			t.Error(err)
		}
		r.system.Root.Stop(r.pid)
		r.settle()
		if _, alive := r.system.ProcessRegistry.GetLocal(r.pid.Id); alive || r.mon.Status() != dispatcher.Stopped {
			t.Error("it came back after its Drain")
		}
	})
}

// A service that ends says so: no Drain has to come through to a dispatcher that is just beginning again.
func TestAPermanentDispatcherEndsWhereItIsNoLonger(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var leaving atomic.Bool
		props, err := dispatcher.New(dispatcher.Config{Pool: "pool", Poller: r.queuePID, Permanent: func() bool { return !leaving.Load() }})
		if err != nil {
			t.Fatal(err)
		}
		pid := r.system.Root.Spawn(props)
		r.settle()
		for _, ends := range []bool{false, true} {
			leaving.Store(ends)
			r.system.Root.Stop(pid)
			r.settle()
			if _, alive := r.system.ProcessRegistry.GetLocal(pid.Id); alive == ends {
				t.Errorf("leaving %v: alive %v", ends, alive)
			}
		}
	})
}

// restart makes the dispatcher's supervisor restart it.
func restart(r *rig) {
	process, _ := r.system.ProcessRegistry.GetLocal(r.pid.Id)
	process.SendSystemMessage(r.pid, &actor.Restart{})
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

func TestARestartLeavesNoAttemptInTheBooks(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		runs := 0
		r.handle("f", func(ctx context.Context, _ raw) error {
			if runs++; runs == 1 {
				<-ctx.Done()
			}
			return nil
		})
		var asked atomic.Int32
		silent := actor.PropsFromFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok && asked.Add(1) > 1 {
				ctx.Respond(dispatcher.Done{})
			}
		})
		if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("a"), silent); err != nil {
			t.Fatal(err)
		}
		r.send("f", nil)
		r.send("a", nil)
		r.settle()
		restart(r)
		r.after(10 * time.Minute)
		s := r.mon.Stats()
		if s.Running != 0 || s.Abandoned != 0 || r.left() != 0 {
			t.Errorf("%d left, %+v", r.left(), s)
		}
		for _, m := range s.Tasks {
			if m.Running != 0 || m.Started != m.Succeeded+m.Failed+m.Interrupted {
				t.Errorf("%+v", m)
			}
		}
	})
}

func TestWhatWasDeliveredBeforeARestartIsNotRunAfterIt(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4, CrashSuspects: "together"}, func(r *rig) {
		var inside, most atomic.Int32
		r.handle("t", func(context.Context, raw) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			time.Sleep(time.Second)
			return nil
		})
		enter, leave := r.block()
		<-enter // from here on the dispatcher is busy, and its mailbox fills
		r.restart()
		r.send("t", nil)
		r.settle()
		close(leave)
		r.settle()
		if s := r.mon.Stats(); s.Restarts != 1 {
			t.Fatalf("%+v", s)
		}
		r.after(10 * time.Minute)
		if most.Load() != 1 || r.left() != 0 {
			t.Errorf("one message ran %d times at once; %d left", most.Load(), r.left())
		}
	})
}
