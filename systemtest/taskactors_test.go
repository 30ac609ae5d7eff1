package systemtest_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/admin"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// fieldError has methods that panic on a nil pointer, as most do.
type fieldError struct{ field string }

func (e *fieldError) Error() string { return "bad field " + e.field }

// execute reports whether c has the Execute in hand.
func execute(c actor.Context) bool {
	_, ok := c.Message().(*dispatcher.Execute)
	return ok
}

// system sends a system message, as only code that means harm does.
func system(c actor.Context, to *actor.PID, message any) {
	process, _ := c.ActorSystem().ProcessRegistry.Get(to)
	process.SendSystemMessage(to, message)
}

// on answers an Execute with Done and calls f for messages of type M.
func on[M any](f func(c actor.Context)) actor.ReceiveFunc {
	return func(c actor.Context) {
		if _, ok := c.Message().(M); ok {
			f(c)
		} else if execute(c) {
			c.Respond(dispatcher.Done{})
		}
	}
}

// TestHostileTaskActorsLeaveThePoolAlive runs task actors that do whatever they
// should not. Each leaves the workers free, readiness OK and the stop well.
func TestHostileTaskActorsLeaveThePoolAlive(t *testing.T) {
	limited := task.Deadline(10 * time.Second)
	for _, c := range []struct {
		name     string
		receive  func(release chan struct{}) actor.ReceiveFunc
		producer func(release chan struct{}) actor.Actor
		policies []task.Policy
		opts     []actor.PropsOption
		dead     bool // the task becomes a dead letter
	}{
		{name: "panics in Started", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*actor.Started](func(actor.Context) { panic("no start") })
		}},
		{name: "panics in Execute", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(actor.Context) { panic("no work") })
		}},
		{name: "panics in Stopping", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*actor.Stopping](func(actor.Context) { panic("no stop") })
		}},
		{name: "panics in Stopped", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*actor.Stopped](func(actor.Context) { panic("no end") })
		}},
		{name: "panics in Terminated while it stops", receive: func(chan struct{}) actor.ReceiveFunc {
			return func(c actor.Context) {
				switch c.Message().(type) {
				case *dispatcher.Execute:
					c.Spawn(actor.PropsFromFunc(func(actor.Context) {}))
					c.Respond(dispatcher.Done{})
				case *actor.Terminated:
					panic("no child")
				}
			}
		}},
		{name: "panics with a nil error", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(actor.Context) { var e *fieldError; panic(e) })
		}},
		{name: "panics after its answer", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Respond(dispatcher.Done{}); panic("too late") })
		}},
		{name: "panics in a continuation", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				c.ReenterAfter(c.RequestFuture(c.Self(), "never answered", time.Second), func(any, error) { panic("no answer") })
			})
		}},
		{name: "ends its goroutine in Started", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*actor.Started](func(actor.Context) { runtime.Goexit() })
		}},
		{name: "ends its goroutine in Execute", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(actor.Context) { runtime.Goexit() })
		}},
		{name: "ends its goroutine in Stopping", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*actor.Stopping](func(actor.Context) { runtime.Goexit() })
		}},
		{name: "blocks in Started", dead: true, policies: []task.Policy{limited}, receive: func(release chan struct{}) actor.ReceiveFunc {
			return on[*actor.Started](func(actor.Context) { <-release })
		}},
		{name: "blocks in Execute", dead: true, policies: []task.Policy{limited}, receive: func(release chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(actor.Context) { <-release })
		}},
		{name: "blocks after its answer", receive: func(release chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Respond(dispatcher.Done{}); <-release })
		}},
		{name: "blocks in Stopping", receive: func(release chan struct{}) actor.ReceiveFunc {
			return on[*actor.Stopping](func(actor.Context) { <-release })
		}},
		{name: "blocks in Stopped", receive: func(release chan struct{}) actor.ReceiveFunc {
			return on[*actor.Stopped](func(actor.Context) { <-release })
		}},
		{name: "stops without an answer and blocks", dead: true, receive: func(release chan struct{}) actor.ReceiveFunc {
			return func(c actor.Context) {
				switch c.Message().(type) {
				case *dispatcher.Execute:
					c.Stop(c.Self())
				case *actor.Stopping:
					<-release
				}
			}
		}},
		{name: "producer blocks", dead: true, policies: []task.Policy{limited}, producer: func(release chan struct{}) actor.Actor {
			<-release
			return actor.ReceiveFunc(func(actor.Context) {})
		}},
		{name: "producer panics", dead: true, producer: func(chan struct{}) actor.Actor { panic("no actor") }},
		{name: "producer makes nil", dead: true, producer: func(chan struct{}) actor.Actor { return nil }},
		{name: "producer ends its goroutine", dead: true, producer: func(chan struct{}) actor.Actor { runtime.Goexit(); return nil }},
		{name: "stops itself", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Stop(c.Self()) })
		}},
		{name: "poisons itself", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Poison(c.Self()) })
		}},
		{name: "restarts itself", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { system(c, c.Self(), &actor.Restart{}) })
		}},
		{name: "suspends itself", dead: true, policies: []task.Policy{limited}, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { system(c, c.Self(), &actor.SuspendMailbox{}) })
		}},
		{name: "stops its parent", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Stop(c.Parent()); c.Respond(dispatcher.Done{}) })
		}},
		{name: "poisons its parent", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Poison(c.Parent()); c.Respond(dispatcher.Done{}) })
		}},
		{name: "restarts its parent", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				system(c, c.Parent(), &actor.Restart{})
				time.Sleep(time.Second) // the restart is before the answer
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "suspends its parent", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				system(c, c.Parent(), &actor.SuspendMailbox{})
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "forges messages to its parent", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				for _, m := range []any{dispatcher.Done{}, "hello", nil, &actor.Terminated{}, &actor.Terminated{Who: c.Self()}, &actor.Stopping{}} {
					c.Send(c.Parent(), m)
				}
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "fails its parent by a system message", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				system(c, c.Parent(), &actor.Terminated{})
				system(c, c.Parent(), &actor.Failure{})
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "never answers", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(actor.Context) {})
		}},
		{name: "never answers, with a receive timeout", dead: true, policies: []task.Policy{limited}, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.SetReceiveTimeout(time.Second) })
		}},
		{name: "answers twice", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				c.Respond(dispatcher.Done{})
				c.Respond(dispatcher.Failed{Err: errors.New("no")})
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "answers late from another goroutine", dead: true, policies: []task.Policy{limited}, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				to, root := c.Sender(), c.ActorSystem().Root
				time.AfterFunc(time.Hour, func() { root.Send(to, dispatcher.Done{}) })
			})
		}},
		{name: "answers nonsense", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Respond(42) })
		}},
		{name: "answers a nil error", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { var e *fieldError; c.Respond(dispatcher.Failed{Err: e}) })
		}},
		{name: "answers a huge error", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Respond(errors.New(strings.Repeat("huge ", 1<<20))) })
		}},
		{name: "stashes its Execute", dead: true, policies: []task.Policy{limited}, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Stash() })
		}},
		{name: "changes its behaviour to one that panics", dead: true, receive: func(chan struct{}) actor.ReceiveFunc {
			b := actor.NewBehavior()
			b.Become(on[*dispatcher.Execute](func(c actor.Context) {
				b.Become(func(actor.Context) { panic("another behaviour") })
				c.Send(c.Self(), "go on")
			}))
			return b.Receive
		}},
		{name: "has a child that blocks in Stopping", receive: func(release chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				c.Spawn(actor.PropsFromFunc(on[*actor.Stopping](func(actor.Context) { <-release })))
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "has a child that panics in Stopping", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				c.Spawn(actor.PropsFromFunc(on[*actor.Stopping](func(actor.Context) { panic("no stop") })))
				c.Respond(dispatcher.Done{})
			})
		}},
		{name: "has a child that panics at each start", dead: true, policies: []task.Policy{limited}, receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				c.Spawn(actor.PropsFromFunc(on[*actor.Started](func(actor.Context) { panic("no start") })))
			})
		}},
		{name: "watches itself and its parent", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) { c.Watch(c.Self()); c.Watch(c.Parent()); c.Respond(dispatcher.Done{}) })
		}},
		{name: "sends its Execute to itself again", receive: func(chan struct{}) actor.ReceiveFunc {
			return on[*dispatcher.Execute](func(c actor.Context) {
				c.Respond(dispatcher.Done{})
				for range 1000 {
					c.Forward(c.Self())
				}
			})
		}},
		{name: "has a synchronized dispatcher and blocks", dead: true, policies: []task.Policy{limited},
			opts: []actor.PropsOption{actor.WithDispatcher(actor.NewSynchronizedDispatcher(300))}, receive: func(release chan struct{}) actor.ReceiveFunc {
				return on[*dispatcher.Execute](func(actor.Context) { <-release })
			}},
		{name: "has a middleware that panics while it stops", opts: []actor.PropsOption{
			actor.WithReceiverMiddleware(func(next actor.ReceiverFunc) actor.ReceiverFunc {
				return func(c actor.ReceiverContext, env *actor.MessageEnvelope) {
					if _, ok := env.Message.(*actor.Stopping); ok {
						panic("middleware")
					}
					next(c, env)
				}
			})}, receive: func(chan struct{}) actor.ReceiveFunc { return on[string](func(actor.Context) {}) }},
		{name: "has an init that panics", dead: true, opts: []actor.PropsOption{actor.WithOnInit(func(actor.Context) { panic("init") })},
			receive: func(chan struct{}) actor.ReceiveFunc { return on[string](func(actor.Context) {}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				leavesThePoolAlive(t, c.dead, c.policies, c.opts, func(release chan struct{}) actor.Actor {
					if c.producer != nil {
						return c.producer(release)
					}
					return c.receive(release)
				})
			})
		})
	}
}

// leavesThePoolAlive runs a task of an actor that misbehaves, and a healthy one. release
// ends what blocks, after the test.
func leavesThePoolAlive(t *testing.T, dead bool, policies []task.Policy, opts []actor.PropsOption,
	producer func(release chan struct{}) actor.Actor) {
	t.Helper()
	release := make(chan struct{})
	t.Cleanup(func() { // the last: every goroutine must have ended
		close(release)
		time.Sleep(2 * time.Hour)
	})
	sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) { s.Log.Level = "critical" }))
	sys.Register("hostile", actor.PropsFromProducer(func() actor.Actor { return producer(release) }, opts...), append(policies, task.MaxFailures(2), task.Wait(time.Second, task.None))...)
	ran, healthy := time.Time{}, task.Define[struct{}]("healthy")
	chassis.Handle(sys.System, healthy, func(context.Context, task.Job[struct{}]) error { ran = time.Now(); return nil })
	if err := sys.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	id, err := sys.Send(t.Context(), "hostile", struct{}{})
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	sent := time.Now()
	chassistest.Send(sys, healthy, struct{}{})
	time.Sleep(time.Hour)
	synctest.Wait()
	if waited := ran.Sub(sent); waited < 0 || waited > time.Minute {
		t.Errorf("a healthy task ran %v after it was sent", waited)
	}
	if s := sys.Tasks().Stats(); s.Running != 0 || s.Stalled != 0 || s.Status != dispatcher.Running {
		t.Errorf("an hour later: %+v", s)
	}
	if r := sys.Ready(t.Context()); r.TaskQueues != admin.OK || r.TaskConsumer != admin.OK {
		t.Errorf("an hour later it is not ready: %+v", r)
	}
	want := chassistest.Succeeded
	if dead {
		want = chassistest.GivenUp
	}
	if o := sys.Outcome(id); o.State != want {
		t.Errorf("the task: %s, %s, %v; want %s", o.State, o.Reason, o.Errors, want)
	}
	if err := sys.Stop(context.Background()); err != nil {
		t.Errorf("stop: %v", err)
	}
}
