package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/actors/lifecycle"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// loud returns the records at WARN and above that hold the text.
func loud(sys *chassistest.System, text string) (lines []chassistest.Record) {
	for _, r := range sys.Logs() {
		if strings.Contains(fmt.Sprint(r), text) && (strings.HasPrefix(r.Level, "WARN") || r.Level == "ERROR" || r.Level == "CRITICAL") {
			lines = append(lines, r)
		}
	}
	return lines
}

// A service's own actor panicked on every message until it was stopped for
// good, and nothing was logged.
func TestEachPanicOfAServicesOwnActorIsLogged(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		panics := 0
		pid := sys.Actors().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(string); ok {
				panics++
				panic("no connection to the stock")
			}
		}))
		for range 20 {
			sys.Actors().Root.Send(pid, "count")
			kit.Pass(5 * time.Millisecond)
		}
		stacks, stops := 0, 0
		for _, r := range loud(sys, "no connection to the stock") {
			if r.Level != "ERROR" || r.Fields["actor"] != pid.Id {
				t.Errorf("%v", r)
			}
			if stack, _ := r.Fields["stack"].(string); strings.Contains(stack, "crashes_test.go") {
				stacks++
			}
			if strings.Contains(r.Message, "stopped for good") {
				stops++
			}
		}
		if panics != 11 || stacks != panics || stops != 1 {
			t.Errorf("%d panics, %d of them logged with their stacks, %d stops", panics, stacks, stops)
		}
		if letters := loud(sys, "dead letter"); len(letters) == 0 || letters[0].Fields["to"] != pid.Id {
			t.Errorf("what was sent to it later is not logged: %v", letters)
		}
		if c := sys.Lifecycle().Counts(); c.Failures != 11 || c.Restarts != 10 || c.Stops != 1 || c.DeadLetters != 9 {
			t.Errorf("%+v", c)
		}
	})
}

// The same of a child of a service's own actor, at its start.
func TestAPanicOfAChildIsLogged(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		sys.Actors().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(*actor.Started); ok {
						panic("no connection to the stock")
					}
				}))
			}
		}))
		kit.Pass(time.Second)
		if n := len(loud(sys, "no connection to the stock")); n != 12 {
			t.Errorf("%d lines, want 11 panics and a stop", n)
		}
	})
}

func TestADeadLetterOfAServiceIsLogged(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		sys.Actors().Root.Send(sys.PID("the-stock"), "count")
		kit.Pass(time.Second)
		if len(loud(sys, "the-stock")) != 1 {
			t.Error("nothing is logged of the dead letter")
		}
	})
}

// An actor of the chassis that panics is restarted, and that is logged.
func TestARestartOfTheChassisIsLogged(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		sys.Register("work", kit.Done())
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := sys.Lifecycle().Counts().Restarts
		// A message of Proto.Actor itself that is not whole: Who is nil.
		process, _ := sys.Actors().ProcessRegistry.GetLocal("poller/test-tasks")
		process.SendSystemMessage(sys.PID("poller/test-tasks"), &actor.Failure{})
		kit.Pass(time.Second)
		if n := sys.Lifecycle().Counts().Restarts; n != before && len(loud(sys, "poller/test-tasks")) == 0 {
			t.Errorf("%d restarts, and nothing is logged", n-before)
		}
	})
}

// What fails in an actor below a task actor is logged with the task's exec_id;
// the failures of task actors themselves are logged as attempts, once.
func TestACrashBelowATaskActorNamesTheExecution(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t)
		events, seen := subscribed(sys)
		sys.Register("work", actor.PropsFromFunc(func(c actor.Context) {
			if e, ok := c.Message().(*dispatcher.Execute); ok {
				child := c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if _, ok := c.Message().(string); ok {
						panic("no connection to the stock")
					}
				}))
				c.Send(child, "count")
				if e.Info.Attempt == 1 {
					panic("the first attempt")
				}
				to := c.Sender()
				time.AfterFunc(time.Second, func() { sys.Actors().Root.Send(to, dispatcher.Done{}) })
			}
		}), task.MaxFailures(3), task.Wait(time.Minute, task.None))
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		id, err := sys.Send(t.Context(), "work", struct{}{})
		if err != nil {
			t.Fatal(err)
		}
		kit.Pass(10 * time.Minute)
		below := loud(sys, "an actor panicked")
		if len(below) == 0 {
			t.Fatal("nothing is logged of the child")
		}
		for _, r := range below {
			if r.Fields["exec_id"] != id || r.Fields["task"] != "work" || !strings.Contains(fmt.Sprint(r.Fields["error"]), "no connection to the stock") {
				t.Errorf("%v", r)
			}
		}
		if n := len(loud(sys, "the first attempt")); n != 1 {
			t.Errorf("the failed attempt is logged %d times, want once", n)
		}
		named := 0
		for _, e := range seen() {
			if f, ok := e.(*lifecycle.Failed); ok && f.ExecID == id && f.Task == "work" && f.Stack != "" {
				named++
			}
		}
		if named == 0 {
			t.Error("no event names the execution")
		}
		sys.Actors().Root.Stop(events)
	})
}

// subscribed has an actor take the lifecycle events.
func subscribed(sys *chassistest.System) (*actor.PID, func() []lifecycle.Event) {
	var got []lifecycle.Event
	pid := sys.Actors().Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case lifecycle.Event:
			got = append(got, m)
		case string:
			c.Respond(got)
		}
	}))
	sys.Actors().Root.Send(sys.PID("lifecycle"), lifecycle.Subscribe{To: pid})
	return pid, func() []lifecycle.Event {
		all, _ := actors.Ask[[]lifecycle.Event](context.Background(), sys.Actors(), pid, "events")
		return all
	}
}

// A service that does its work, fails a task, and stops has no dead letters: a
// line of one is worth looking at.
func TestNormalWorkHasNoDeadLetters(t *testing.T) {
	kit.Bubble(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) {
			s.Tasks.TaskPool, s.Tasks.Pools = "mails", map[string]chassis.PoolSettings{"reports": {}}
		}))
		sys.Register("work", kit.Done())
		var runs atomic.Int64
		greet := task.Define[kit.Greeting]("greet", task.MaxFailures(3), task.Wait(time.Second, task.None))
		chassis.Handle(sys.System, greet, func(context.Context, task.Job[kit.Greeting]) error {
			if runs.Add(1)%7 == 0 {
				return errors.New("not now")
			}
			return nil
		})
		mail := sys.Breaker("https://mail.internal")
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			if _, err := sys.Send(t.Context(), "work", struct{}{}); err != nil {
				t.Fatal(err)
			}
			chassistest.Send(sys, greet, kit.Greeting{})
		}
		_ = mail.Do(t.Context(), "/", func(context.Context) error { return errors.New("a failure") })
		sys.RunUntilIdle()
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if c := sys.Lifecycle().Counts(); c != (lifecycle.Counts{}) {
			t.Errorf("%+v\n%v", c, loud(sys, "dead letter"))
		}
	})
}
