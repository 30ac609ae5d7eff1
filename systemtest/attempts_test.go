package systemtest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// TestTheEndOfATaskIsLoggedWithItsLastAttempt: it was logged with twice as many
// attempts as there had been.
func TestTheEndOfATaskIsLoggedWithItsLastAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		never := task.Define[struct{}]("never", task.MaxFailures(3))
		chassis.Handle(sys.System, never, func(context.Context, task.Job[struct{}]) error { return errors.New("no") })
		id := chassistest.Send(sys, never, struct{}{})
		sys.RunUntilIdle()
		sys.AssertAttempts(id, 3)
		if got := sys.AssertLogged("ERROR", "task given up").Fields["attempt"]; got != 3.0 {
			t.Errorf("attempt %v on the record of a task that was begun 3 times", got)
		}
	})
}

// TestAFailureOfATaskActorIsLogged as that of a function is: of one that was
// tried again there was no record.
func TestAFailureOfATaskActorIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		sys.Register("report", actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case *dispatcher.Execute:
				if m.Info.Attempt == 1 {
					c.Respond(dispatcher.Failed{Err: errors.New("no paper")})
					return
				}
				c.Respond(dispatcher.Done{})
			}
		}))
		id, err := sys.Send(t.Context(), "report", nil)
		if err != nil {
			t.Fatal(err)
		}
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
		r := sys.AssertLogged("WARN", "task attempt ended with an error")
		if r.Fields["error"] != "no paper" || r.Fields["exec_id"] != id || r.Fields["attempt"] != 1.0 {
			t.Errorf("%v", r.Fields)
		}
	})
}

// TestAnAttemptThatTheDrainCutShortHasNotFinished: it was counted among those
// that ended by themselves, and among those given back.
func TestAnAttemptThatTheDrainCutShortHasNotFinished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) { s.Tasks.DrainTimeout = time.Second }))
		long := task.Define[struct{}]("long")
		chassis.Handle(sys.System, long, func(ctx context.Context, _ task.Job[struct{}]) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		sys.WaitFor(chassistest.Send(sys, long, struct{}{}), dispatcher.Started)
		if err := sys.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := sys.AssertLogged("INFO", "drained")
		if r.Fields["finished"] != 0.0 || r.Fields["given_back"] != 1.0 {
			t.Errorf("%v", r.Fields)
		}
	})
}

// TestAHandlerFindsTheErrorAndTheAttributes of its message: an on_fail task that
// of the task that was given up, a second attempt that of the first.
func TestAHandlerFindsTheErrorAndTheAttributes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		var told []string
		tell := func(info *task.Info) {
			told = append(told, info.LastError+", "+aws.ToString(info.Extra["tenant"].StringValue))
		}
		doomed := task.Define[struct{}]("doomed", task.MaxFailures(2), task.OnFail("sorry"))
		chassis.Handle(sys.System, doomed, func(_ context.Context, job task.Job[struct{}]) error {
			tell(job.Info)
			return fmt.Errorf("no paper %d", job.Attempt)
		})
		chassis.Handle(sys.System, task.Define[struct{}]("sorry"), func(_ context.Context, job task.Job[struct{}]) error {
			tell(job.Info)
			return nil
		})
		chassistest.Send(sys, doomed, struct{}{}, task.Attribute("tenant", "acme"))
		sys.RunUntilIdle()
		if want := []string{", acme", "no paper 1, acme", "no paper 2, acme"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
}
