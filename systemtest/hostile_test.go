package systemtest_test

import (
	"context"
	"errors"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/breaker"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/actors/logger"
	"github.com/sambatech/chassis/actors/poller"
	"github.com/sambatech/chassis/actors/shares"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// What a service's own code does to the actors of the chassis by their addresses.

var plain = task.Define[struct{}]("plain")

// target is a service with all actors of the chassis, for tests that misuse them.
type target struct {
	*chassistest.System
	t *testing.T
}

// addresses are those of the actors, with a question that each answers.
var addresses = map[string]any{
	"breaker/https://mail.internal": &breaker.GetSnapshot{},
	"dispatcher/mails":              &dispatcher.GetStats{},
	"poller/mails":                  &poller.Inspect{},
	"shares":                        "not a message of its own", // it answers with an Unhandled
	"logger":                        &logger.Describe{},
	"lifecycle":                     &lifecycle.GetCounts{},
}

func newTarget(t *testing.T) *target {
	t.Helper()
	s := &target{chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
		s.Tasks.TaskPool, s.Tasks.Pools = "mails", map[string]chassis.PoolSettings{"reports": {}}
	})), t}
	s.Breaker("https://mail.internal")
	chassis.Handle(s.System.System, plain, func(context.Context, task.Job[struct{}]) error { return nil })
	s.Register("actor", kit.Done())
	return s
}

func (s *target) start() {
	s.t.Helper()
	if err := s.Start(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	kit.Pass(time.Second)
}

// works fails the test unless each actor answers, tasks run, and the service is ready.
func (s *target) works() {
	s.t.Helper()
	for name, question := range addresses {
		ctx, cancel := context.WithTimeout(s.t.Context(), 10*time.Second)
		_, err := actors.Ask[any](ctx, s.Actors(), s.PID(name), question)
		cancel()
		if _, refused := errors.AsType[*actors.Unhandled](err); err != nil && !refused {
			s.t.Errorf("%s does not answer: %v", name, err)
		}
	}
	function := chassistest.Send(s.System, plain, struct{}{})
	own, err := s.Send(s.t.Context(), "actor", struct{}{})
	if err != nil {
		s.t.Fatal(err)
	}
	kit.Pass(10 * time.Second)
	for what, id := range map[string]string{"function": function, "task actor": own} {
		if o := s.Outcome(id); o.State != chassistest.Succeeded {
			s.t.Errorf("the task of a %s: %v, %v", what, o.State, o.Errors)
		}
	}
	if r := s.Ready(s.t.Context()); len(r.Reasons) > 0 {
		s.t.Errorf("not ready: %v", r.Reasons)
	}
}

// logged reports whether a record of the level has all of the texts.
func (s *target) logged(level string, texts ...string) bool {
	for _, r := range s.Logs() {
		all := r.Level == level
		for _, text := range texts {
			all = all && strings.Contains(r.Message, text)
		}
		if all {
			return true
		}
	}
	return false
}

// The keeper of shares, the logger and the lifecycle actor were gone for ever after a
// stop by another actor: without the keeper no pool ran a task any more. A nil, which
// Proto.Actor's mailbox takes for "nothing there", held a processor for ever. (As of
// asynkron/protoactor-go#42, apple/swift-distributed-actors#31.)
func TestAnActorOfTheChassisWorksOnWhateverItsAddressIsSent(t *testing.T) {
	system := func(s *target, pid *actor.PID, messages ...any) {
		process, _ := s.Actors().ProcessRegistry.Get(pid)
		for _, m := range messages {
			process.SendSystemMessage(pid, m)
		}
	}
	for how, do := range map[string]func(s *target, pid *actor.PID){
		"Stop":           func(s *target, pid *actor.PID) { s.Actors().Root.Stop(pid) },
		"Poison":         func(s *target, pid *actor.PID) { s.Actors().Root.Poison(pid) },
		"SuspendMailbox": func(s *target, pid *actor.PID) { system(s, pid, &actor.SuspendMailbox{}) },
		"Restart":        func(s *target, pid *actor.PID) { system(s, pid, &actor.Restart{}) },
		"forged": func(s *target, pid *actor.PID) {
			system(s, pid, &actor.Terminated{}, &actor.Failure{}, &actor.Watch{}, &actor.Unwatch{})
			for _, m := range []any{&actor.Started{}, &actor.Stopped{}, &actor.Stopping{}, &actor.Restarting{}, &actor.Terminated{}, &actor.ReceiveTimeout{}} {
				s.Actors().Root.Send(pid, m)
			}
		},
		"nil": func(s *target, pid *actor.PID) { s.Actors().Root.Send(pid, nil) },
	} {
		for name := range addresses {
			t.Run(how+" to "+name, func(t *testing.T) {
				kit.Bubble(t, func(t *testing.T) {
					s := newTarget(t)
					s.start()
					do(s, s.PID(name))
					kit.Pass(10 * time.Second)
					s.works()
				})
			})
		}
	}
}

// A nil pointer of a message's type matched the case of the switch and failed there: a
// nil *Register ended the process, the others restarted the actor, and the tasks under
// way with it. Empty messages are taken or refused too. (As of
// asynkron/protoactor-go#168.)
func TestNilAndEmptyMessagesRestartNothing(t *testing.T) {
	for name, messages := range map[string][]any{
		"breaker/https://mail.internal": {&breaker.Call{}, &breaker.Admit{}, &breaker.Report{}, &breaker.Force{}, &breaker.Reset{},
			&breaker.Change{}, &breaker.GetSnapshot{}, &breaker.GetTransitions{}, &breaker.Subscribe{}, &breaker.Unsubscribe{}},
		"dispatcher/mails": {&dispatcher.Register{}, &dispatcher.Pause{Task: "none"}, &dispatcher.Resume{}, &dispatcher.Resize{},
			&dispatcher.CancelExecution{}, &dispatcher.SnoozeExecution{}, &dispatcher.Inspect{}, &dispatcher.GetStats{},
			&dispatcher.Subscribe{}, &dispatcher.Unsubscribe{}, &dispatcher.Execute{}, &dispatcher.Done{}, &dispatcher.Failed{},
			&poller.Delivered{}, &poller.Batch{Messages: []any{nil, (*poller.Settled)(nil), &poller.Batch{}, &poller.Delivered{}, 1}}, &poller.Settled{}, &poller.LeaseLost{}, &poller.LeaseExpiring{}, &poller.Counted{}, &poller.QueueRead{},
			&poller.Slept{}, &shares.Granted{}, &shares.Reserved{}, &shares.Claimed{}},
		"poller/mails": {&poller.Want{}, &poller.Settle{}, &poller.Pause{}, &poller.Resume{}, &poller.Lengthen{}, &poller.Count{},
			&poller.Look{}, &poller.Flush{}, &poller.Inspect{}, &poller.InspectLeases{}},
		"shares": {&shares.Join{}, &shares.Leave{}, &shares.Ask{}, &shares.Reserve{}, &shares.Release{}, &shares.Claim{}, &shares.Unclaim{},
			&shares.Join{Pool: "none"}, &shares.Ask{Pool: "none", More: 3}, &shares.Leave{Pool: "none"}},
		"logger":    {&logger.Write{}, &logger.Describe{}, &logger.Reopen{}, &logger.Written{}},
		"lifecycle": {&lifecycle.Subscribe{}, &lifecycle.Unsubscribe{}, &lifecycle.GetCounts{}},
	} {
		t.Run(name, func(t *testing.T) {
			kit.Bubble(t, func(t *testing.T) {
				s := newTarget(t)
				s.start()
				probe := chassistest.NewProbe(t, s.Actors())
				for _, m := range messages {
					for _, m := range []any{m, reflect.Zero(reflect.TypeOf(m)).Interface()} {
						before := s.Lifecycle().Counts().Failures
						s.Actors().Root.Send(s.PID(name), m)
						probe.Send(s.PID(name), m)
						kit.Pass(time.Second)
						if s.Lifecycle().Counts().Failures != before {
							t.Errorf("%T, nil: %v: a failure", m, actors.Nil(m))
						}
					}
				}
				kit.Pass(time.Minute)
				s.works()
			})
		})
	}
}

// The chassis sent by the service's Root. Its middleware that panicked ended the
// process, one that waited held all tasks up, and one that was set while tasks ran was
// a data race. (As of asynkron/protoactor-go#1327.)
func TestMiddlewareOnTheServicesRootSeesNothingOfTheChassis(t *testing.T) {
	for name, send := range map[string]func(){
		"panics": func() { panic("middleware") },
		"drops":  func() {},
		"waits":  func() { time.Sleep(time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			kit.Bubble(t, func(t *testing.T) {
				s := newTarget(t)
				s.start()
				before := rootOf(s.Actors())
				s.Actors().Root.WithSenderMiddleware(func(actor.SenderFunc) actor.SenderFunc {
					return func(actor.SenderContext, *actor.PID, *actor.MessageEnvelope) { send() }
				})
				function := chassistest.Send(s.System, plain, struct{}{})
				own, err := s.Send(t.Context(), "actor", struct{}{})
				if err != nil {
					t.Fatal(err)
				}
				kit.Pass(10 * time.Second)
				for what, id := range map[string]string{"function": function, "task actor": own} {
					if o := s.Outcome(id); o.State != chassistest.Succeeded {
						t.Errorf("the task of a %s: %v, %v", what, o.State, o.Errors)
					}
				}
				mail := s.Breaker("https://mail.internal")
				if err := mail.ForceOpen("", time.Minute); err != nil {
					t.Error(err)
				}
				s.Actors().Root.WithSenderMiddleware()
				if after := rootOf(s.Actors()); after != before {
					t.Logf("Root: %s", after)
				}
			})
		})
	}
}

// A handler of the EventStream that panicked at a supervisor's decision did so in the
// deferred function of the panic, and ended the process. (As of
// asynkron/protoactor-dotnet#102, kdlbs/kandev#3295.)
func TestAHandlerOfTheEventStreamThatPanicsEndsNothing(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		s := newTarget(t)
		s.start()
		s.Actors().EventStream.Subscribe(func(e any) {
			if _, ok := e.(*actor.SupervisorEvent); ok {
				panic("handler")
			}
		})
		pid, err := s.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case string:
				panic("no stock")
			case int:
				c.Respond(1)
			}
		}), "stock")
		if err != nil {
			t.Fatal(err)
		}
		s.Actors().Root.Send(pid, "count")
		kit.Pass(time.Second)
		if _, err := actors.Ask[int](t.Context(), s.Actors(), pid, 1); err != nil {
			t.Error(err)
		}
		if !s.logged("ERROR", "a handler of the EventStream panicked") {
			t.Error("the panic of the handler is not logged")
		}
		s.works()
	})
}

// An actor that ended its goroutine, as a t.FailNow in it does, took no message any
// more, in silence, and the stop waited for it in vain.
func TestAnActorThatEndsItsGoroutineIsLoggedAndGone(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		s := newTarget(t)
		s.start()
		pid, err := s.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				runtime.Goexit()
			}
		}), "stock")
		if err != nil {
			t.Fatal(err)
		}
		s.Actors().Root.Send(pid, "count")
		kit.Pass(time.Second)
		if !s.logged("ERROR", "runtime.Goexit") || s.Lifecycle().Counts().Stops != 1 {
			t.Errorf("the end is not logged or not counted: %+v", s.Lifecycle().Counts())
		}
		if _, err := actors.Ask[int](t.Context(), s.Actors(), pid, 1); !errors.Is(err, actors.ErrDeadLetter) {
			t.Errorf("a question to it: %v", err)
		}
		if _, err := s.Spawn(kit.Idle(), "stock"); err != nil {
			t.Errorf("its name is not free: %v", err)
		}
		s.works()
		if err := s.Stop(context.Background()); err != nil {
			t.Errorf("Stop: %v", err)
		}
	})
}

// An actor that stops its own system waits for a stop that waits for the actor: the
// stop gives the actor its time, names it, and ends. (As of jodal/pykka#76.)
func TestAnActorThatStopsItsSystemIsNamed(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := stopping(t)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		var took time.Duration
		var err error
		pid, spawned := sys.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				began := time.Now()
				err = sys.Stop(context.Background())
				took = time.Since(began)
			}
		}), "stock")
		if spawned != nil {
			t.Fatal(spawned)
		}
		sys.Actors().Root.Send(pid, "stop")
		kit.Pass(time.Minute)
		if took != 5*time.Second || err == nil || !strings.Contains(err.Error(), "the actor stock did not end") {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// A subscriber that changes an event changed it for the others. (As of the rule that
// what is handed out changes nothing that others see.)
func TestEachSubscriberOfTheLifecycleHasItsOwnEvents(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		s := newTarget(t)
		s.start()
		first, second := chassistest.NewProbe(t, s.Actors()), chassistest.NewProbe(t, s.Actors())
		for _, p := range []*chassistest.Probe{first, second} {
			p.Send(s.PID("lifecycle"), &lifecycle.Subscribe{To: p.PID()})
		}
		kit.Pass(0)
		pid := s.Actors().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				panic("no stock")
			}
		}))
		s.Actors().Root.Send(pid, "count")
		chassistest.Expect[*lifecycle.Failed](first).Reason = "redacted"
		if e := chassistest.Expect[*lifecycle.Failed](second); e.Reason != "no stock" {
			t.Errorf("the other subscriber sees %v", e.Reason)
		}
	})
}
