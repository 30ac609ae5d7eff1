package dispatcher_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/task"
)

// fieldError is the classic mistake: returned as a nil pointer in an error it
// is not nil, and each of its methods panics.
type fieldError struct{ field string }

func (e *fieldError) Error() string { return "bad field " + e.field }

type laterError struct{ after *time.Duration }

func (e laterError) Error() string             { return "later" }
func (e laterError) RetryAfter() time.Duration { return *e.after }

func TestAnErrorWhoseMethodsPanicIsOneFailure(t *testing.T) {
	var nilField *fieldError
	var nilCancel *task.CancelError
	for name, bad := range map[string]error{
		"Error": nilField, "wrapped": fmt.Errorf("wrapped: %w", &task.RetryError{Err: nilField}), "RetryAfter": laterError{}, "cancel": nilCancel,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{}, func(r *rig) {
				r.handle("f", func(context.Context, raw) error { return bad }, task.MaxFailures(2), task.Wait(time.Second, task.None))
				answers := actor.PropsFromFunc(func(ctx actor.Context) {
					if _, ok := ctx.Message().(*dispatcher.Execute); ok {
						ctx.Respond(dispatcher.Failed{Err: bad})
					}
				})
				if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("a", task.MaxFailures(2), task.Wait(time.Second, task.None)), answers); err != nil {
					t.Fatal(err)
				}
				r.send("f", nil)
				r.send("a", nil)
				r.after(time.Minute)
				if s := r.mon.Stats(); s.Restarts != 0 || s.Status != dispatcher.Running || s.Abandoned != 0 {
					t.Errorf("%+v", s)
				}
				if dead := r.dead(); len(dead) != 2 || r.left() != 0 {
					t.Errorf("%d dead, %d left", len(dead), r.left())
				}
			})
		})
	}
}

func TestNoExecIDCancelsNothing(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(ctx context.Context, _ raw) error { <-ctx.Done(); return ctx.Err() })
		r.send("t", nil)
		r.settle()
		if n, err := r.client.CancelExecution(r.ctx(), "", "a form without its field"); n != 0 || err == nil {
			t.Errorf("cancelled %d executions: %v", n, err)
		}
		if n, err := r.client.SnoozeExecution(r.ctx(), "", time.Hour); n != 0 || err == nil {
			t.Errorf("snoozed %d executions: %v", n, err)
		}
		if s := r.mon.Stats(); s.Running != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestASuspectKeepsToItsTasksLimitAndPause(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 4, HoldLimit: 10 * time.Second}, func(r *rig) {
		var inside, most, paused atomic.Int32
		one := func(ctx context.Context, job raw) error {
			most.Store(max(most.Load(), inside.Add(1)))
			defer inside.Add(-1)
			time.Sleep(time.Minute)
			return nil
		}
		r.handle("one", one, task.Concurrency(1))
		r.handle("paused", func(context.Context, raw) error { paused.Add(1); return nil })
		if err := r.client.Pause(r.ctx(), "paused"); err != nil {
			t.Fatal(err)
		}
		r.send("one", 1)
		r.settle()
		for _, name := range []string{"one", "paused"} {
			out, err := task.Encode(name, 2, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			r.inspect(func(q *queue) {
				m := q.made(out.Body, out.Attributes, "", 0)
				m.receives = 1 // by a process that died
				q.messages = append(q.messages, m)
			})
		}
		r.after(5 * time.Minute)
		if most.Load() != 1 || paused.Load() != 0 {
			t.Errorf("%d of a task at once that may run once, %d runs of a paused task", most.Load(), paused.Load())
		}
		if err := r.client.Resume(r.ctx(), "paused"); err != nil {
			t.Fatal(err)
		}
		r.after(time.Minute)
		if paused.Load() != 1 || r.left() != 0 {
			t.Errorf("%d runs after the resume, %d left", paused.Load(), r.left())
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
		<-enter                                           // from here on the dispatcher is busy, and its mailbox fills
		r.system.Root.Send(r.pid, (*poller.Settled)(nil)) // it panics
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

// block has the dispatcher make an actor whose producer waits for leave.
func (r *rig) block() (enter, leave chan struct{}) {
	r.t.Helper()
	enter, leave = make(chan struct{}), make(chan struct{})
	props := actor.PropsFromProducer(func() actor.Actor {
		close(enter)
		<-leave
		return actor.ReceiveFunc(func(ctx actor.Context) {
			if _, ok := ctx.Message().(*dispatcher.Execute); ok {
				ctx.Respond(dispatcher.Done{})
			}
		})
	})
	if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec("blocks"), props); err != nil {
		r.t.Fatal(err)
	}
	r.send("blocks", nil)
	return enter, leave
}

// child is the only child of the dispatcher.
func (r *rig) child() (child *actor.PID) {
	r.t.Helper()
	for _, bucket := range r.system.ProcessRegistry.LocalPIDs.LocalPIDs {
		for _, id := range bucket.Keys() {
			if strings.HasPrefix(id, r.pid.Id+"/$") {
				if child != nil {
					r.t.Fatal("several children")
				}
				child = r.system.NewLocalPID(id)
			}
		}
	}
	return child
}

func TestAFailureToldToADeadChildIsNotLost(t *testing.T) {
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
		close(fail) // the handler's failure finds nobody
		r.settle()
		close(leave)
		r.after(time.Minute)
		if s := r.mon.Stats(); runs != 2 || r.left() != 0 || s.Running != 0 {
			t.Errorf("%d runs, %d left, %+v", runs, r.left(), s)
		}
	})
}

func TestTheNextParkedRunsWhenTheOneBeforeItWasCancelled(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 2, MaxWorkers: 2}, func(r *rig) {
		var ran []string
		free := make(chan struct{})
		r.handle("one", func(_ context.Context, job raw) error {
			ran = append(ran, string(job.Args))
			if string(job.Args) == "1" {
				<-free
			}
			return nil
		}, task.Concurrency(1))
		r.handle("fills", func(context.Context, raw) error { time.Sleep(time.Hour); return nil }, task.Priority(1))
		r.send("one", 1)
		r.settle()
		second := r.send("one", 2)
		r.settle()
		r.send("one", 3)
		r.settle()
		r.send("fills", nil)
		r.settle()
		r.inspect(func(q *queue) { q.demand++ })
		r.send("fills", nil) // takes the slot that the first leaves
		r.settle()
		close(free)
		r.settle()
		if n, err := r.client.CancelExecution(r.ctx(), second.ExecID, ""); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.after(3 * time.Hour)
		if got := strings.Join(ran, " "); got != "1 3" {
			t.Errorf("ran %s, %d left", got, r.left())
		}
	})
}

func TestALimitlessWaitIsALongOne(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var runs atomic.Int32
		r.handle("t", func(_ context.Context, job raw) error {
			runs.Add(1)
			switch string(job.Args) {
			case "1":
				return task.Snooze(math.MaxInt64)
			case "2":
				return openErr{math.MaxInt64}
			}
			return task.RetryAfter(errors.New("never"), math.MaxInt64)
		})
		for i := range 3 {
			r.send("t", i+1)
		}
		r.after(24 * time.Hour)
		if s := r.mon.Stats(); runs.Load() != 3 || r.left() != 3 || s.SettleFailed != 0 {
			t.Errorf("%d runs, %d left, %+v", runs.Load(), r.left(), s)
		}
	})
}

func TestFIFOSnoozedFollowerWaitsForItsHead(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, name := o.enter(job)
			defer o.leave(g)
			if name == "0" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		list := r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"}, pair{"a", "2"})
		r.settle()
		if n, err := r.client.SnoozeExecution(r.ctx(), list[1].ExecID, time.Second); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		r.after(10 * time.Minute)
		if got := o.ran("a"); got != "[0 1 2]" || r.left() != 0 {
			t.Errorf("ran %s, %d left", got, r.left())
		}
	})
}

func TestFIFOLostFollowerTakesThoseBehindItBack(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{Workers: 4}, func(r *rig) {
		o := newOrder(t)
		r.handle("t", func(_ context.Context, job raw) error {
			g, name := o.enter(job)
			defer o.leave(g)
			if name == "0" {
				time.Sleep(time.Minute)
			}
			return nil
		})
		r.sendAll("t", "a", pair{"a", "0"}, pair{"a", "1"}, pair{"a", "2"})
		r.settle()
		r.inspect(func(q *queue) { // the lease of the second ends
			for id, m := range q.leases {
				if m == q.messages[1] {
					delete(q.leases, id)
					m.lease, m.visible = 0, time.Now()
					q.tell(&poller.LeaseLost{Lease: id, Err: poller.ErrLeaseLost})
				}
			}
		})
		r.after(10 * time.Minute)
		if got := o.ran("a"); got != "[0 1 2]" || r.left() != 0 {
			t.Errorf("ran %s, %d left", got, r.left())
		}
	})
}

func TestFIFODeadLettersOfOneExecIDAreTwo(t *testing.T) {
	bubbleOn(t, "pool.fifo", dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return task.Cancel(errors.New("no")) })
		for range 2 {
			r.send("t", nil, task.ExecID("the same"), task.Group("g"))
		}
		r.after(time.Minute)
		r.inspect(func(q *queue) {
			list := q.others["pool_dead.fifo"]
			if len(list) != 2 || list[0].DedupID == list[1].DedupID || list[0].DedupID == "" {
				t.Errorf("SQS takes one of them: %+v", list)
			}
		})
	})
}

func TestPostponingKnowsTheQueueWithoutScalingAndWhenItIsEmptier(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 3, MaxWorkers: 3, PostponedShare: 0.1}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return nil })
		last := func() (s *poller.Settle) {
			for range 2 {
				r.send("t", nil, task.At(time.Now().Add(48*time.Hour)))
				r.after(11 * time.Second)
			}
			r.inspect(func(q *queue) { s = q.settles[len(q.settles)-1] })
			return s
		}
		r.inspect(func(q *queue) { q.inFlight = 20_000 })
		if s := last(); s.Release || len(s.Send) != 1 || s.Send[0].Delay != 15*time.Minute {
			t.Errorf("postponed by %+v", s)
		}
		r.inspect(func(q *queue) { q.inFlight = 10 })
		if s := last(); !s.Release {
			t.Errorf("crowded no more, but postponed by %+v", s)
		}
	})
}

func TestADeadLetterFitsWhateverTheMessageWas(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(context.Context, raw) error { return task.Cancel(errors.New("no")) })
		out := r.send("t", nil)
		r.inspect(func(q *queue) {
			body := `"` + strings.Repeat("x", task.MaxSize-task.Size("", out.Attributes)-2) + `"`
			q.messages = append(q.messages, q.made(body, out.Attributes, "", 0))
		})
		r.after(time.Minute)
		r.inspect(func(q *queue) {
			list := q.others["pool_dead"]
			if len(list) != 2 || task.Size(list[1].Body, list[1].Attributes) > task.MaxSize {
				t.Errorf("%d dead letters, and the last does not fit", len(list))
			}
		})
	})
}
