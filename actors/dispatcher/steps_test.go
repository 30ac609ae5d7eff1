package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// ten runs ten steps, and calls after between them. It returns how often each has run.
func ten(ran *[10]int, after func(ctx context.Context, job raw, step int) error) task.RawHandler {
	return func(ctx context.Context, job raw) error {
		for i := range ran {
			got, err := task.Step(ctx, fmt.Sprint("s", i), func(context.Context) (int, error) { ran[i]++; return i, nil })
			if err != nil {
				return err
			}
			if got != i {
				return fmt.Errorf("step %d gave %d", i, got)
			}
			if err := after(ctx, job, i); err != nil {
				return err
			}
		}
		return nil
	}
}

// replace drains the dispatcher, as a deploy does, and starts another one.
func (r *rig) replace(deadline time.Time) {
	r.t.Helper()
	if _, err := r.client.Drain(r.ctx(), deadline); err != nil {
		r.t.Fatal(err)
	}
	r.system.Root.Stop(r.pid)
	r.settle()
	r.up()
}

// fullBut puts a task on the queue that leaves so many bytes of what the queue takes.
func (r *rig) fullBut(name string, free int) {
	r.t.Helper()
	out, err := task.Encode(name, nil, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	r.inspect(func(q *queue) {
		body := `"` + strings.Repeat("x", task.MaxSize-task.Size("", out.Attributes)-2-free) + `"`
		q.messages = append(q.messages, q.made(body, out.Attributes, "", 0))
	})
}

var once = [10]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1}

// TestStepsGoOnWhereTheyWere after all that ends an attempt in order.
func TestStepsGoOnWhereTheyWere(t *testing.T) {
	for name, c := range map[string]struct {
		after func(ctx context.Context, job raw, step int) error
		do    func(r *rig) // between the parts of the test
	}{
		"errors in place": {after: func(_ context.Context, job raw, step int) error {
			if step == job.Attempt {
				return task.RetryAfter(errors.New("no"), time.Second)
			}
			return nil
		}},
		"errors on the queue": {after: func(_ context.Context, job raw, step int) error {
			if step == job.Attempt {
				return task.RetryAfter(errors.New("no"), 40*time.Minute)
			}
			return nil
		}},
		"panics": {after: func(_ context.Context, job raw, step int) error {
			if step == job.Attempt {
				panic("no")
			}
			return nil
		}},
		"a snooze of days": {after: func(_ context.Context, job raw, step int) error {
			if step == job.Attempt && step < 4 {
				return task.Snooze(30 * time.Hour)
			}
			return nil
		}},
		"a drain": {after: func(ctx context.Context, job raw, step int) error {
			if step == 5 && job.Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, do: func(r *rig) {
			r.replace(time.Now().Add(time.Second))
		}},
		"a restart of the dispatcher": {after: func(ctx context.Context, job raw, step int) error {
			if step == 5 && job.Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, do: func(r *rig) { r.restart(); r.settle() }},
		"abandoned": {after: func(ctx context.Context, job raw, step int) error {
			if step == 5 && job.Attempt == 1 {
				<-ctx.Done()
				time.Sleep(time.Hour)
			}
			return nil
		}},
		"an operator's snooze": {after: func(ctx context.Context, job raw, step int) error {
			if step == 5 && job.Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}, do: func(r *rig) {
			r.inspect(func(q *queue) {})
			list, err := r.client.Inspect(r.ctx(), "", 1)
			if err != nil || len(list.List) != 1 {
				r.t.Fatal(list, err)
			}
			if _, err := r.client.SnoozeExecution(r.ctx(), list.List[0].ExecID, 2*time.Hour); err != nil {
				r.t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{}, func(r *rig) {
				var ran [10]int
				register := func() {
					policies := []task.Policy{task.MaxFailures(10), task.Wait(time.Second, task.None)}
					if name == "abandoned" {
						policies = append(policies, task.Deadline(time.Minute))
					}
					r.handle("t", ten(&ran, c.after), policies...)
				}
				register()
				r.send("t", nil)
				r.after(time.Second)
				if c.do != nil {
					c.do(r)
					register()
				}
				r.after(30 * 24 * time.Hour)
				if ran != once || r.left() != 0 || len(r.dead()) != 0 {
					t.Errorf("ran %v, %d left, dead %v", ran, r.left(), r.dead())
				}
			})
		})
	}
}

// TestStepsCostNoRequest: the settles are those of the same task without steps.
func TestStepsCostNoRequest(t *testing.T) {
	var settles [2][]string
	for i, steps := range []bool{false, true} {
		bubble(t, dispatcher.Settings{}, func(r *rig) {
			r.handle("t", func(ctx context.Context, job raw) error {
				if steps {
					for k := range 10 {
						if err := task.Do(ctx, fmt.Sprint(k), func(context.Context) error { return nil }); err != nil {
							return err
						}
					}
				}
				switch job.Attempt {
				case 1:
					return task.RetryAfter(errors.New("no"), time.Second)
				case 2:
					return task.RetryAfter(errors.New("no"), time.Hour)
				}
				return nil
			})
			r.send("t", nil)
			r.after(24 * time.Hour)
			r.inspect(func(q *queue) {
				for _, s := range q.settles {
					settles[i] = append(settles[i], fmt.Sprintf("%d sent, released %v", len(s.Send), s.Release))
				}
			})
		})
	}
	if !slices.Equal(settles[0], settles[1]) || len(settles[0]) == 0 {
		t.Errorf("without steps %v, with steps %v", settles[0], settles[1])
	}
}

// TestACrashTakesBackToTheLastCopy, and no further.
func TestACrashTakesBackToTheLastCopy(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		register := func() {
			r.handle("t", ten(&ran, func(ctx context.Context, job raw, step int) error {
				switch {
				case step == 3 && job.Attempt == 1:
					return task.Snooze(time.Hour)
				case step == 6 && job.Attempt == 2:
					<-ctx.Done() // killed here
					return ctx.Err()
				}
				return nil
			}))
		}
		register()
		r.send("t", nil)
		r.after(2 * time.Hour)
		r.crash()
		r.up()
		register()
		r.after(24 * time.Hour)
		if want := [10]int{1, 1, 1, 1, 2, 2, 2, 1, 1, 1}; ran != want || r.left() != 0 {
			t.Errorf("ran %v, want %v; %d left", ran, want, r.left())
		}
	})
}

// TestADeadLetterKeepsItsSteps: sent back, the task goes on after the last of them.
func TestADeadLetterKeepsItsSteps(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		broken := true
		r.handle("t", ten(&ran, func(_ context.Context, _ raw, step int) error {
			if step == 7 && broken {
				return errors.New("no")
			}
			return nil
		}), task.MaxFailures(2), task.Wait(time.Second, task.None))
		r.send("t", nil)
		r.after(time.Hour)
		dead := r.dead()
		if len(dead) != 1 {
			t.Fatal(dead)
		}
		broken = false
		fresh := dead[0].Renewed()
		r.inspect(func(q *queue) { q.messages = append(q.messages, q.made(fresh.Body, fresh.Attributes(), "", 0)) })
		r.after(time.Hour)
		if ran != once || r.left() != 0 {
			t.Errorf("ran %v, %d left", ran, r.left())
		}
	})
}

// TestAnOnFailTaskHasStepsOfItsOwn: those of the task that was given up mean nothing
// to it.
func TestAnOnFailTaskHasStepsOfItsOwn(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran []string
		for _, name := range []string{"t", "sorry"} {
			r.handle(name, func(ctx context.Context, job raw) error {
				if err := task.Do(ctx, "of "+name, func(context.Context) error { ran = append(ran, name); return nil }); err != nil {
					return err
				}
				if name == "t" {
					return task.Cancel(errors.New("no"))
				}
				return nil
			}, task.OnFail("sorry"))
		}
		r.send("t", nil)
		r.after(time.Hour)
		if !slices.Equal(ran, []string{"t", "sorry"}) || r.left() != 0 || len(r.dead()) != 0 {
			t.Errorf("ran %v, %d left, dead %v", ran, r.left(), r.dead())
		}
	})
}

// TestASleepHoldsNoWorkerAndSpendsNothing, short and long.
func TestASleepHoldsNoWorkerAndSpendsNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		var at []time.Duration
		begin := time.Now()
		note := func(ctx context.Context, name string) error {
			return task.Do(ctx, name, func(context.Context) error { at = append(at, time.Since(begin)); return nil })
		}
		r.handle("t", func(ctx context.Context, job raw) error {
			for i, d := range []time.Duration{10 * time.Second, 3 * time.Hour, 20 * 24 * time.Hour} {
				if err := note(ctx, fmt.Sprint("work", i)); err != nil {
					return err
				}
				if err := task.Sleep(ctx, fmt.Sprint("sleep", i), d); err != nil {
					return err
				}
			}
			if job.Failures != 0 {
				t.Errorf("%d failures", job.Failures)
			}
			return note(ctx, "end")
		}, task.MaxFailures(1))
		others := 0
		r.handle("other", func(context.Context, raw) error { others++; return nil })
		r.send("t", nil)
		r.after(time.Second)
		r.send("other", nil) // the one worker is free
		r.after(time.Second)
		if others != 1 {
			t.Error("a sleep holds the worker")
		}
		r.after(25 * 24 * time.Hour)
		sum, want := time.Duration(0), []time.Duration{0, 10 * time.Second, 3 * time.Hour, 20 * 24 * time.Hour}
		if len(at) != len(want) || r.left() != 0 {
			t.Fatalf("at %v, %d left", at, r.left())
		}
		for i, d := range want {
			if sum += d; at[i] < sum || at[i] > sum+2*time.Second {
				t.Errorf("work %d at %v, want %v", i, at[i], sum)
			}
		}
		r.inspect(func(q *queue) {
			if len(q.settles) > 65 { // three a day at most, as of a snooze
				t.Errorf("%d settles", len(q.settles))
			}
		})
	})
}

// TestATaskActorHasSteps by the ctx of its Execute.
func TestATaskActorHasSteps(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		props := actor.PropsFromProducer(func() actor.Actor {
			return actor.ReceiveFunc(func(ctx actor.Context) {
				m, ok := ctx.Message().(*dispatcher.Execute)
				if !ok {
					return
				}
				h := ten(&ran, func(_ context.Context, job raw, step int) error {
					switch {
					case step == 2 && m.Info.Attempt == 1:
						panic("no")
					case step == 4 && m.Info.Attempt == 2:
						return task.Snooze(time.Hour)
					}
					return nil
				})
				if err := h(m.Ctx, raw{Info: m.Info}); err != nil {
					ctx.Respond(dispatcher.Failed{Err: err})
					return
				}
				ctx.Respond(dispatcher.Done{})
			})
		})
		if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("t"), props); err != nil {
			t.Fatal(err)
		}
		r.send("t", nil)
		r.after(24 * time.Hour)
		if ran != once || r.left() != 0 {
			t.Errorf("ran %v, %d left", ran, r.left())
		}
	})
}

// TestStepsThatFitIntoNoCopyStayHere: the task waits in place for longer than it would,
// and runs no step again.
func TestStepsThatFitIntoNoCopyStayHere(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		r.handle("t", ten(&ran, func(_ context.Context, job raw, step int) error {
			if step == 8 && job.Attempt < 4 {
				return task.RetryAfter(errors.New("no"), 50*time.Minute)
			}
			return nil
		}))
		r.fullBut("t", 300)
		r.after(24 * time.Hour)
		if ran != once || r.left() != 0 {
			t.Errorf("ran %v, %d left", ran, r.left())
		}
		r.inspect(func(q *queue) {
			if len(q.settles) != 1 {
				t.Errorf("%d settles", len(q.settles))
			}
		})
		if n := strings.Count(r.log.String(), "do not fit into a copy of the message: the task stays"); n != 1 {
			t.Errorf("logged %d times: %s", n, r.log)
		}
	})
}

// TestADrainOfStepsThatFitIntoNoCopyCarriesTheFirst, and says how many it does not.
func TestADrainOfStepsThatFitIntoNoCopyCarriesTheFirst(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		register := func() {
			r.handle("t", ten(&ran, func(_ context.Context, job raw, step int) error {
				if step == 8 && job.Attempt < 2 {
					return task.RetryAfter(errors.New("no"), 50*time.Minute)
				}
				return nil
			}))
		}
		register()
		r.fullBut("t", 400)
		r.after(time.Minute)
		r.replace(time.Now())
		register()
		r.after(24 * time.Hour)
		again := 0
		for i, n := range ran {
			switch {
			case n == 2:
				again++
			case n != 1 || again > 0 && i < 9:
				t.Errorf("ran %v", ran)
			}
		}
		if again == 0 || again == 9 || r.left() != 0 || !strings.Contains(r.log.String(), fmt.Sprint("steps_left_out=", again)) {
			t.Errorf("%d of %v ran again, %d left: %s", again, ran, r.left(), r.log)
		}
	})
}

// TestStepsOfAFIFOPool: in place, and hidden while the message comes back to this
// process. There are no copies.
func TestStepsOfAFIFOPool(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		r.handle("t", ten(&ran, func(_ context.Context, job raw, step int) error {
			switch {
			case step == 3 && job.Attempt == 1:
				return task.RetryAfter(errors.New("no"), 2*time.Second)
			case step == 5 && job.Failures == 1 && job.Attempt == 2:
				return task.Snooze(11 * time.Hour) // hidden: no lease would be left
			}
			return nil
		}))
		r.sendAll("t", "g", nil)
		r.after(48 * time.Hour)
		if ran != once || r.left() != 0 {
			t.Errorf("ran %v, %d left", ran, r.left())
		}
	})
}

// TestALostLeaseKeepsTheStepsHere: the message comes back to this process.
func TestALostLeaseKeepsTheStepsHere(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var ran [10]int
		r.handle("t", ten(&ran, func(ctx context.Context, job raw, step int) error {
			if step == 5 && job.Attempt == 1 {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		}))
		r.send("t", nil)
		r.after(time.Second)
		r.inspect(func(q *queue) {
			for id, m := range q.leases {
				delete(q.leases, id)
				m.lease, m.visible = 0, time.Now().Add(time.Minute)
				q.send(&poller.LeaseLost{Lease: id, Err: poller.ErrLeaseLost})
			}
		})
		r.after(24 * time.Hour)
		if ran != once || r.left() != 0 {
			t.Errorf("ran %v, %d left", ran, r.left())
		}
	})
}

// TestInspectShowsSteps, those that are done and the one under way.
func TestInspectShowsSteps(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		leave := make(chan struct{})
		r.handle("t", func(ctx context.Context, job raw) error {
			if err := task.Do(ctx, "charge", func(context.Context) error { return nil }); err != nil {
				return err
			}
			c, err := task.OpenCursor(ctx, "rows", 0)
			if err == nil {
				err = c.Save(41)
			}
			if err != nil {
				return err
			}
			return task.Do(task.Lane(ctx, "mails"), "send", func(context.Context) error { <-leave; return nil })
		})
		r.send("t", nil)
		r.settle()
		list, err := r.client.Inspect(r.ctx(), "", 1)
		if err != nil || len(list.List) != 1 {
			t.Fatal(list, err)
		}
		var got []string
		for _, s := range list.List[0].Steps {
			got = append(got, strings.Join([]string{s.Lane, s.Name, s.Kind, s.Note}, " "))
		}
		if want := []string{" charge step ", " rows cursor 41", "mails send running "}; !slices.Equal(got, want) ||
			list.List[0].StepCount != 3 {
			t.Errorf("%q", got)
		}
		close(leave)
		r.settle()
	})
}
