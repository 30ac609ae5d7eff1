package dispatcher_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/task"
)

// register makes a task known by props.
func (r *rig) register(name string, props *actor.Props, policies ...task.Policy) {
	r.t.Helper()
	if _, err := r.client.RegisterProps(r.ctx(), task.NewSpec(name, policies...), props); err != nil {
		r.t.Fatal(err)
	}
}

// instances makes actors that know which attempt they were given.
func instances(f func(attempt int, c actor.Context), opts ...actor.PropsOption) *actor.Props {
	return actor.PropsFromProducer(func() actor.Actor {
		attempt := 0
		return actor.ReceiveFunc(func(c actor.Context) {
			if m, ok := c.Message().(*dispatcher.Execute); ok && attempt == 0 {
				attempt = m.Info.Attempt
			}
			f(attempt, c)
		})
	}, opts...)
}

// running asks for the execution that is under way.
func (r *rig) running(execID string) dispatcher.Execution {
	r.t.Helper()
	found, err := r.client.Inspect(r.ctx(), execID, 0)
	if err != nil || len(found.List) != 1 {
		r.t.Fatal(found, err)
	}
	return found.List[0]
}

func TestChildrenOfAFailedAttemptEndWithIt(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var pieces, live atomic.Int32
		child := actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				live.Add(1)
				c.Send(c.Self(), "go on")
			case string:
				pieces.Add(1)
				self, root := c.Self(), c.ActorSystem().Root
				time.AfterFunc(time.Second, func() { root.Send(self, "go on") })
			case *actor.Stopped:
				live.Add(-1)
			}
		})
		r.register("work", instances(func(attempt int, c actor.Context) {
			if _, ok := c.Message().(*dispatcher.Execute); !ok {
				return
			}
			if attempt > 1 {
				c.Respond(dispatcher.Done{})
				return
			}
			for range 3 {
				c.Spawn(child)
			}
			c.Respond(dispatcher.Failed{Err: errors.New("no connection")})
		}), task.Wait(20*time.Second, task.None))
		r.send("work", nil)
		r.after(time.Second)
		if live.Load() != 0 {
			t.Errorf("%d children live a second after the failure of their attempt", live.Load())
		}
		r.after(time.Minute)
		if pieces.Load() > 3 || r.left() != 0 {
			t.Errorf("%d pieces of work, %d left", pieces.Load(), r.left())
		}
	})
}

func TestEachExecuteComesOnceToTheInstanceThatItIsFor(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var mu sync.Mutex
		got := map[int][]int{}
		var kept *dispatcher.Execute
		r.register("work", instances(func(attempt int, c actor.Context) {
			switch m := c.Message().(type) {
			case *dispatcher.Execute:
				mu.Lock()
				got[attempt] = append(got[attempt], m.Info.Attempt)
				mu.Unlock()
				if attempt == 1 {
					kept = m
					c.Stash()
					c.RequestWithCustomSender(c.Self(), "connected?", c.Sender())
					return
				}
				if m.Info.Attempt == attempt {
					c.Send(c.Self(), kept) // what a careless actor keeps and sends again
					c.RequestWithCustomSender(c.Self(), "done", c.Sender())
				}
			case string:
				if m == "done" {
					c.Respond(dispatcher.Done{})
				} else {
					c.Respond(dispatcher.Failed{Err: errors.New("no connection")})
				}
			}
		}), task.Wait(0, task.None))
		r.send("work", nil)
		r.after(time.Minute)
		if !slices.Equal(got[1], []int{1}) || !slices.Equal(got[2], []int{2}) || len(got) != 2 || r.left() != 0 {
			t.Errorf("by instance: %v; %d left", got, r.left())
		}
	})
}

func TestASlowProducerOrDispatcherOfPropsHoldsUpNoOtherTask(t *testing.T) {
	slow := func() actor.Actor {
		time.Sleep(12 * time.Second)
		return actor.ReceiveFunc(func(c actor.Context) {
			if _, ok := c.Message().(*dispatcher.Execute); ok {
				c.Respond(dispatcher.Done{})
			}
		})
	}
	blocking := actor.PropsFromFunc(func(c actor.Context) {
		switch c.Message().(type) {
		case *dispatcher.Execute:
			time.Sleep(12 * time.Second)
			c.Respond(dispatcher.Done{})
		case *actor.Stopping:
			time.Sleep(2 * time.Second)
		}
	}, actor.WithDispatcher(actor.NewSynchronizedDispatcher(300)))
	for name, props := range map[string]*actor.Props{"producer": actor.PropsFromProducer(slow), "dispatcher": blocking} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{Workers: 3}, func(r *rig) {
				var greeted atomic.Int64
				r.register("report", props)
				r.handle("greet", func(context.Context, raw) error { greeted.Store(time.Now().UnixNano()); return nil })
				r.send("report", nil)
				r.settle()
				sent := time.Now()
				r.send("greet", nil)
				r.settle()
				if at := greeted.Load(); at != sent.UnixNano() {
					t.Errorf("the other task began at %v, sent at %v", time.Unix(0, at), sent)
				}
				r.after(12 * time.Second) // it stops now
				r.send("greet", nil)
				r.settle()
				if at := greeted.Load(); at != sent.Add(12*time.Second).UnixNano() {
					t.Errorf("another task waited for the end of the slow one")
				}
				r.after(time.Minute)
				if r.left() != 0 {
					t.Errorf("%d left", r.left())
				}
			})
		})
	}
}

func TestATaskActorThatPanicsWhileItStopsIsGoneAndLogged(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.register("work", actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *dispatcher.Execute:
				c.Respond(dispatcher.Done{})
			case *actor.Stopping:
				panic("close of a nil connection")
			}
		}))
		for range 100 {
			r.send("work", nil)
		}
		r.after(time.Minute)
		if child := r.anyChild(); child != "" || r.left() != 0 {
			t.Errorf("%s lives, %d left", child, r.left())
		}
		for _, want := range []string{"WARN", "close of a nil connection", "stack=", "taskactor_test.go"} {
			if !strings.Contains(r.log.String(), want) {
				t.Errorf("%q is not in the log", want)
			}
		}
	})
}

// anyChild is the id of a process below the dispatcher, or "".
func (r *rig) anyChild() (found string) {
	for _, bucket := range r.system.ProcessRegistry.LocalPIDs.LocalPIDs {
		bucket.IterCb(func(id string, _ any) {
			if strings.HasPrefix(id, r.pid.Id+"/") {
				found = id
			}
		})
	}
	return found
}

func TestATaskActorThatBlocksWhileItStopsIsGivenUp(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		release := make(chan struct{})
		defer close(release)
		r.register("work", actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *dispatcher.Execute:
				c.Respond(dispatcher.Done{})
			case *actor.Stopping:
				<-release
			}
		}))
		r.send("work", nil)
		r.after(4 * time.Second)
		if strings.Contains(r.log.String(), "WARN") {
			t.Error("given up before abandon_after")
		}
		r.after(2 * time.Second)
		if !strings.Contains(r.log.String(), "task actor abandoned") || r.mon.Stats().Tasks[1].Abandoned != 1 {
			t.Errorf("not given up: %s", r.log)
		}
		r.send("work", nil)
		r.settle()
		begun := time.Now()
		if _, err := r.client.Drain(r.ctx(), time.Now().Add(20*time.Second)); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("the drain took %v, want abandon_after", took)
		}
	})
}

func TestADrainWaitsForTaskActorsThatStop(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var closed atomic.Bool
		r.register("work", actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *dispatcher.Execute:
				c.Respond(dispatcher.Done{})
			case *actor.Stopping:
				time.Sleep(3 * time.Second) // its connection is closed in good order
				closed.Store(true)
			}
		}))
		r.send("work", nil)
		r.settle()
		if _, err := r.client.Drain(r.ctx(), time.Now().Add(20*time.Second)); err != nil || !closed.Load() {
			t.Errorf("closed %v, %v", closed.Load(), err)
		}
	})
}

func TestPropsThatCanNeverBeSpawnedAreRefused(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		work := func(actor.Context) {}
		for want, props := range map[string]*actor.Props{
			"guardian": actor.PropsFromFunc(work, actor.WithGuardian(actor.DefaultSupervisorStrategy())),
			"producer": {},
		} {
			_, err := r.client.RegisterProps(r.ctx(), task.NewSpec("work"), props)
			if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "work") {
				t.Errorf("%s: %v", want, err)
			}
			if _, err := dispatcher.New(dispatcher.Config{Pool: "pool", Poller: r.queuePID, Tasks: []*dispatcher.Register{{Spec: task.NewSpec("work"), Props: props}}}); err == nil {
				t.Errorf("%s: New takes them", want)
			}
		}
	})
}

func TestPropsWithASpawnFunctionOrMailboxOfTheirOwnAreSpawnedByThem(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var spawned, boxes atomic.Int32
		r.register("work", actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*dispatcher.Execute); ok {
				c.Respond(dispatcher.Done{})
			}
		}, actor.WithMailbox(func() actor.Mailbox { boxes.Add(1); return actor.Unbounded()() }),
			actor.WithSpawnFunc(func(system *actor.ActorSystem, id string, props *actor.Props, parent actor.SpawnerContext) (*actor.PID, error) {
				spawned.Add(1)
				return actor.DefaultSpawner(system, id, props, parent)
			})))
		r.send("work", nil)
		r.after(time.Minute)
		if spawned.Load() != 1 || boxes.Load() != 1 || r.left() != 0 || r.anyChild() != "" {
			t.Errorf("%d spawned, %d mailboxes, %d left", spawned.Load(), boxes.Load(), r.left())
		}
	})
}

func TestAPanicOutsideOfTheExecuteIsTheSameFailureWithItsStack(t *testing.T) {
	for name, f := range map[string]func(c actor.Context){
		"in Started": func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				panicHere()
			}
		},
		"in a message": func(c actor.Context) {
			switch c.Message().(type) {
			case *dispatcher.Execute:
				c.Send(c.Self(), "go on")
			case string:
				panicHere()
			}
		},
		"in a continuation": func(c actor.Context) {
			if _, ok := c.Message().(*dispatcher.Execute); ok {
				c.ReenterAfter(c.RequestFuture(c.Self(), "hello", time.Second), func(any, error) { panicHere() })
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, dispatcher.Settings{}, func(r *rig) {
				var pids sync.Map
				r.register("work", actor.PropsFromFunc(func(c actor.Context) { pids.Store(c.Self().Id, true); f(c) }),
					task.MaxFailures(3), task.Wait(time.Second, task.None))
				r.send("work", nil)
				r.after(time.Minute)
				n := 0
				pids.Range(func(any, any) bool { n++; return true })
				if dead := r.dead(); len(dead) != 1 || dead[0].Failures != 3 || n != 3 {
					t.Errorf("%d dead, %d actors: want one of three failures by three actors", len(dead), n)
				}
				if s := r.mon.Stats().Tasks[1]; s.Panicked != 3 || s.Failed != 3 {
					t.Errorf("%+v", s)
				}
				if !strings.Contains(r.log.String(), "panicHere") {
					t.Errorf("no stack in the log: %s", r.log)
				}
			})
		})
	}
}

func TestASilentTaskActorIsLoggedAndEndsWithoutADeadline(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 1}, func(r *rig) {
		var causes atomic.Value
		r.register("silent", actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*dispatcher.Execute); ok {
				go func() { <-m.Ctx.Done(); causes.Store(context.Cause(m.Ctx)) }()
			}
		}), task.MaxFailures(1))
		r.send("silent", nil)
		r.after(50 * time.Second)
		if s := r.mon.Stats(); s.Stalled != 0 {
			t.Errorf("%+v", s)
		}
		r.after(30 * time.Second)
		silent, _ := r.mon.Stalled()
		if s := r.mon.Stats(); s.Stalled != 1 || s.Tasks[1].Stalled != 1 || !silent || !strings.Contains(r.log.String(), "task actor is silent") {
			t.Errorf("%+v, %s", s, r.log)
		}
		r.after(14 * time.Minute)
		if cause, _ := causes.Load().(error); !errors.Is(cause, dispatcher.ErrSilent) {
			t.Errorf("its ctx ended by %v", cause)
		}
		if s := r.mon.Stats(); s.Stalled != 0 || s.Running != 0 || len(r.dead()) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestATaskActorThatWorksByItsChildrenIsNotSilent(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.register("work", actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *dispatcher.Execute:
				to := c.Sender()
				c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						time.Sleep(2 * time.Hour)
						c.Send(to, dispatcher.Done{})
					}
				}))
				m.Info.Report(0, 0, "begun")
			}
		}))
		r.send("work", nil)
		r.after(19 * time.Minute)
		if s := r.mon.Stats(); s.Stalled != 0 {
			t.Errorf("%+v", s)
		}
		r.after(2 * time.Hour)
		if s := r.mon.Stats().Tasks[1]; s.Succeeded != 1 || r.left() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestHandlersWithoutAnEndAreLogged(t *testing.T) {
	bubble(t, dispatcher.Settings{Workers: 3, MaxWorkers: 3}, func(r *rig) {
		release := make(chan struct{})
		r.handle("hangs", func(context.Context, raw) error { waitDeaf(release); return nil })
		r.handle("reports", func(ctx context.Context, _ raw) error {
			for range 180 {
				time.Sleep(time.Minute)
				task.Report(ctx, 0, 0, "")
			}
			return nil
		})
		r.send("hangs", nil)
		r.send("hangs", nil)
		r.send("reports", nil)
		r.after(2 * time.Hour)
		if s := r.mon.Stats(); s.Stalled != 2 || !strings.Contains(r.log.String(), "waitDeaf") {
			t.Errorf("%+v, %s", s, r.log)
		}
		if _, endless := r.mon.Stalled(); endless {
			t.Error("a worker moves")
		}
		r.after(2 * time.Hour)
		r.send("hangs", nil)
		r.after(time.Hour)
		if silent, endless := r.mon.Stalled(); !endless || silent {
			t.Error("no worker moves")
		}
		close(release)
		r.after(time.Minute)
		if s := r.mon.Stats(); s.Stalled != 0 || r.left() != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestARunningExecutionIsSignalledByItsExecID(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var to *actor.PID
		r.register("work", actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *dispatcher.Execute:
				to = c.Sender()
			case string:
				if m == "finish" {
					c.Send(to, dispatcher.Done{})
				}
			}
		}))
		r.handle("function", func(context.Context, raw) error { time.Sleep(time.Minute); return nil })
		out, function := r.send("work", nil), r.send("function", nil)
		r.settle()
		if pid := r.running(out.ExecID).PID; pid == nil || r.running(function.ExecID).PID != nil {
			t.Errorf("PID %v", pid)
		}
		if n, err := r.client.Signal(r.ctx(), function.ExecID, "finish"); n != 0 || err == nil {
			t.Errorf("a function was signalled: %d, %v", n, err)
		}
		if n, err := r.client.Signal(r.ctx(), "", "finish"); n != 0 || err == nil {
			t.Errorf("no exec_id was given: %d, %v", n, err)
		}
		if n, err := r.client.Signal(r.ctx(), out.ExecID, "finish"); n != 1 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		r.settle()
		if s := r.mon.Stats().Tasks[2]; s.Succeeded != 1 {
			t.Errorf("%+v", s)
		}
		r.after(time.Hour)
	})
}

func TestWhatAHandlerDoesToItsExtraChangesNoCopy(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		r.handle("t", func(_ context.Context, job raw) error {
			*job.Extra["tenant"].StringValue = "another"
			delete(job.Extra, "tenant")
			return task.Cancel(errors.New("no"))
		})
		r.send("t", nil, task.Attribute("tenant", "one"))
		r.after(time.Minute)
		if dead := r.dead(); len(dead) != 1 || *dead[0].Extra["tenant"].StringValue != "one" {
			t.Errorf("%+v", dead)
		}
	})
}

// As of Spawn followed at once by Stop, asynkron/protoactor-go#111.
func TestATaskActorThatIsDismissedWhileItIsMadeIsStoppedOnceItIs(t *testing.T) {
	bubble(t, dispatcher.Settings{}, func(r *rig) {
		var got atomic.Int32
		var stopped atomic.Bool
		r.register("slow", actor.PropsFromProducer(func() actor.Actor {
			time.Sleep(time.Minute)
			return actor.ReceiveFunc(func(c actor.Context) {
				switch c.Message().(type) {
				case *dispatcher.Execute:
					got.Add(1)
				case *actor.Stopped:
					stopped.Store(true)
				}
			})
		}), task.Deadline(time.Second), task.MaxFailures(1))
		r.send("slow", nil)
		r.after(30 * time.Second)
		if s := r.mon.Stats(); s.Abandoned != 1 || s.Running != 0 || len(r.dead()) != 1 {
			t.Errorf("while it is made: %+v", s)
		}
		r.after(time.Minute)
		if s := r.mon.Stats(); s.Abandoned != 0 || got.Load() != 0 || !stopped.Load() || r.anyChild() != "" {
			t.Errorf("%d Executes, stopped %v, %s, %+v", got.Load(), stopped.Load(), r.anyChild(), s)
		}
	})
}
