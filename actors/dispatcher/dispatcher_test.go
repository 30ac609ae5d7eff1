package dispatcher_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

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
			Pool: "pool", Poller: r.queuePID, Monitor: r.mon, Permanent: true, Logger: slog.New(slog.NewTextHandler(r.log, nil)),
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
