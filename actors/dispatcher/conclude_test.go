package dispatcher_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

type raw = task.Job[json.RawMessage]

func TestFunctionTaskRunsAndIsDeleted(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		got := make(chan string, 1)
		r.handle("greet", func(ctx context.Context, job raw) error {
			got <- string(job.Args) + " " + task.JobFrom(ctx).JobID
			return nil
		})
		r.send("greet", map[string]int{"id": 1}, task.ForJob("j1", "test"))
		r.settle()
		if s := <-got; s != `{"id": 1} j1` {
			t.Errorf("the handler got %q", s)
		}
		if n := r.left(); n != 0 {
			t.Errorf("%d messages are left on the queue", n)
		}
	})
}

type greeter struct{ seen chan string }

func (g *greeter) Receive(ctx actor.Context) {
	if m, ok := ctx.Message().(*dispatcher.Execute); ok {
		var args struct{ ID int }
		if err := m.Decode(&args); err != nil {
			ctx.Respond(err)
			return
		}
		g.seen <- m.Info.Task
		switch args.ID {
		case 1:
			ctx.Respond(dispatcher.Done{})
		case 2:
			ctx.Respond(dispatcher.Failed{Err: errors.New("no luck")})
		case 3:
			panic("ouch")
		}
	}
}

func TestTaskActorAnswersFailsAndPanics(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		seen := make(chan string, 10)
		props := actor.PropsFromProducer(func() actor.Actor { return &greeter{seen} })
		if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("act", task.MaxFailures(2), task.Wait(5*time.Second, task.None)), props); err != nil {
			t.Fatal(err)
		}
		for id := 1; id <= 3; id++ {
			r.send("act", map[string]int{"ID": id})
		}
		r.after(time.Minute)
		if n := len(seen); n != 5 {
			t.Errorf("%d runs, want 1 + 2 + 2", n)
		}
		dead := r.dead()
		if len(dead) != 2 {
			t.Fatalf("%d dead letters, want 2", len(dead))
		}
		for _, m := range dead {
			if m.Failures != 2 || m.Reason != task.ReasonExhausted || m.LastError == "" {
				t.Errorf("dead letter %+v", m)
			}
		}
		if r.left() != 0 {
			t.Error("messages left")
		}
	})
}

func TestOnFailIsSentWithJobAndError(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("work", func(context.Context, raw) error { return errors.New("smtp: 421") },
			task.MaxFailures(3), task.Wait(time.Second, task.Geometric), task.OnFailIn("other", "sorry"))
		sent := r.send("work", map[string]int{"id": 6}, task.ForJob("j", "n"))
		r.after(time.Minute)
		list := r.sentTo("other")
		if len(list) != 1 {
			t.Fatalf("%d messages in the other pool", len(list))
		}
		m := list[0]
		if m.Name != "sorry" || m.JobID != "j" || m.JobName != "n" || m.LastError != "smtp: 421" || m.Body != sent.Body || m.ExecID == sent.ExecID {
			t.Errorf("on_fail message %+v", m)
		}
	})
}

func TestLongWaitGivesBackAndShortWaitHolds(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var runs []time.Time
		start := time.Now()
		r.handle("slow", func(context.Context, raw) error {
			runs = append(runs, time.Now())
			if len(runs) < 4 {
				return errors.New("not yet")
			}
			return nil
		}, task.Wait(20*time.Second, task.Arithmetic))
		r.send("slow", nil)
		r.after(10 * time.Minute)
		want := []time.Duration{0, 20 * time.Second, 60 * time.Second, 120 * time.Second}
		for i, w := range want {
			if got := runs[i].Sub(start); got != w {
				t.Errorf("run %d after %v, want %v", i, got, w)
			}
		}
		r.inspect(func(q *queue) {
			// 20 s in place, 40 s and 60 s by copies, then deleted.
			if len(q.settles) != 3 || len(q.settles[0].Send) != 1 || len(q.settles[1].Send) != 1 || len(q.settles[2].Send) != 0 || q.settles[2].Release {
				t.Errorf("settled %+v", q.settles)
			}
		})
	})
}

// TestTheCountTravelsOnTheMessage: a process dies after three of five failures. The count
// is on the copy that waits on the queue. A wait in place has no copy: the three failures
// are lost with the process, and the delivery is one silent end.
func TestTheCountTravelsOnTheMessage(t *testing.T) {
	for wait, c := range map[time.Duration]struct{ runs, silent int }{time.Minute: {5, 0}, 10 * time.Second: {8, 1}} {
		bubble(t, dispatcher.Settings{}, func(r *rig) {
			runs, silent := 0, 0
			handle := func() {
				r.handle("t", func(_ context.Context, job raw) error {
					runs++
					silent = max(silent, job.Attempt-1-job.Failures)
					return errors.New("no")
				}, task.MaxFailures(5), task.Wait(wait, task.None))
			}
			handle()
			r.send("t", nil)
			r.after(2*wait + wait/2)
			if runs != 3 {
				t.Fatalf("%d runs before the process dies, want 3", runs)
			}
			r.crash()
			r.up()
			handle()
			r.after(time.Hour)
			if runs != c.runs || silent != c.silent || len(r.dead()) != 1 {
				t.Errorf("with a wait of %v: %d runs, %d silent ends and %d dead letters, want %d, %d and 1", wait, runs, silent, len(r.dead()), c.runs, c.silent)
			}
		})
	}
}

func TestDrainGivesBackWhatWaitsAndLetsRunningEnd(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2}, func(r *rig) {
		r.handle("long", func(ctx context.Context, _ raw) error {
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		r.handle("failing", func(context.Context, raw) error { return errors.New("no") })
		r.send("failing", nil)
		r.settle()
		r.send("long", nil)
		r.settle()
		done, err := r.client.Drain(r.ctx(), time.Now().Add(20*time.Second))
		if err != nil || done.Finished != 1 || done.GivenBack != 1 {
			t.Fatalf("drained %+v, %v", done, err)
		}
		if s := r.mon.Status(); s != dispatcher.Stopped {
			t.Errorf("status %v", s)
		}
		if n := r.left(); n != 1 {
			t.Errorf("%d messages left, want the failing one", n)
		}
	})
}
