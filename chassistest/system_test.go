package chassistest_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/actors/dispatcher"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

type letter struct {
	To string `json:"to"`
}

var errDown = errors.New("the gateway is down")

func TestAGeometricWaitInSimulatedTime(t *testing.T) {
	flaky := task.Define[letter]("flaky", task.Wait(10*time.Second, task.Geometric))
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		chassis.Handle(sys.System, flaky, func(_ context.Context, job task.Job[letter]) error {
			if job.Attempt <= 3 {
				return errDown
			}
			return nil
		})
		id := chassistest.Send(sys, flaky, letter{To: "a@example.org"})
		sys.RunUntilIdle()

		sys.AssertSucceeded(id)
		sys.AssertAttempts(id, 4)
		sys.AssertNoneDead()
		o := sys.Outcome(id)
		for i, want := range []time.Duration{10 * time.Second, 40 * time.Second, 90 * time.Second} { // w·n²
			// The first is held in place, the others go by the queue, which counts in seconds.
			if got := o.Started[i+1].Sub(o.Started[i]); got < want || got > want+2*time.Second {
				t.Errorf("wait %d took %v, want %v", i+1, got, want)
			}
		}
	})
}

func TestATaskScheduledADayAhead(t *testing.T) {
	later := task.Define[letter]("later", task.Window(0))
	real := time.Now()
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		chassis.Handle(sys.System, later, func(context.Context, task.Job[letter]) error { return nil })
		when := time.Now().Add(24 * time.Hour)
		id := chassistest.Send(sys, later, letter{}, task.At(when))
		sys.RunUntilIdle()

		sys.AssertSucceeded(id)
		if begun := sys.Outcome(id).Started[0]; begun.Before(when) || begun.After(when.Add(2*time.Second)) {
			t.Errorf("begun at %v, scheduled for %v", begun, when)
		}
	})
	t.Logf("a day took %v", time.Since(real))
}

func TestTheExhaustedAreDeadAndCanBeSentBack(t *testing.T) {
	doomed := task.Define[letter]("doomed", task.MaxFailures(2), task.Wait(time.Minute, task.None))
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		down := true
		chassis.Handle(sys.System, doomed, func(context.Context, task.Job[letter]) error {
			if down {
				return errDown
			}
			return nil
		})
		id := chassistest.Send(sys, doomed, letter{})
		sys.RunUntilIdle()
		sys.AssertGivenUp(id, task.ReasonExhausted)
		if o := sys.Outcome(id); o.Failures != 2 || len(o.Errors) != 2 || o.Errors[1] != errDown.Error() {
			t.Errorf("outcome %+v", o)
		}
		dead := sys.AssertDead(id, task.ReasonExhausted)
		if dead == nil || dead.LastError != errDown.Error() {
			t.Fatalf("dead letter %+v", dead)
		}
		sys.AssertLogged("ERROR", "given up")

		down = false
		for d, err := range sys.DeadLetters(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if err := d.SendBack(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		sys.RunUntilIdle()
		sys.AssertSucceeded(id)
		sys.AssertNoneDead()
	})
}

func TestOnFailIsFollowed(t *testing.T) {
	sorry := task.Define[letter]("sorry")
	order := task.Define[letter]("order", task.MaxFailures(1), task.OnFail("sorry"))
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t)
		chassis.Handle(sys.System, order, func(context.Context, task.Job[letter]) error { return errDown })
		chassis.Handle(sys.System, sorry, func(context.Context, task.Job[letter]) error { return nil })
		id := chassistest.Send(sys, order, letter{To: "b@example.org"})
		sys.RunUntilIdle()
		sys.AssertGivenUp(id, task.ReasonExhausted)
		all := sys.Outcomes()
		if len(all) != 2 || all[1].Task != "sorry" || all[1].State != chassistest.Succeeded {
			t.Errorf("outcomes %+v", all)
		}
		sys.AssertNoneDead()
	})
}

func TestTwoServicesOnOneQueue(t *testing.T) {
	mail := task.Define[letter]("mail")
	synctest.Test(t, func(t *testing.T) {
		shop := chassistest.New(t, chassistest.Name("shop"))
		mailer := chassistest.New(t, chassistest.Name("mailer"), chassistest.Beside(shop))
		chassis.Handle(mailer.System, mail, func(context.Context, task.Job[letter]) error { return nil })
		id := chassistest.Send(shop, mail, letter{}, task.Pool("mailer-tasks"))
		if o := mailer.Outcome(id); o.State != chassistest.Unseen {
			t.Errorf("before the start it is %q", o.State)
		}
		mailer.RunUntilIdle()
		mailer.AssertSucceeded(id)
	})
}

// What a stop gives back is run by the next start of the service.
func TestAServiceStartedAgain(t *testing.T) {
	slow := task.Define[letter]("slow")
	synctest.Test(t, func(t *testing.T) {
		first := chassistest.New(t, chassistest.Settings(func(s *chassis.Settings) { s.Tasks.DrainTimeout = time.Second }))
		chassis.Handle(first.System, slow, func(ctx context.Context, _ task.Job[letter]) error {
			<-ctx.Done()
			return context.Cause(ctx)
		})
		id := chassistest.Send(first, slow, letter{})
		first.WaitFor(id, dispatcher.Started)
		if err := first.Stop(t.Context()); err != nil {
			t.Logf("stop: %v", err)
		}
		second := chassistest.New(t, chassistest.Beside(first))
		chassis.Handle(second.System, slow, func(context.Context, task.Job[letter]) error { return nil })
		second.RunUntilIdle()
		second.AssertSucceeded(id)
		if o := second.Outcome(id); o.Failures != 0 {
			t.Errorf("the drain has spent %d failures", o.Failures)
		}
	})
}

func TestTheDefaultLoggerIsRecordedAndPutBack(t *testing.T) {
	before := slog.Default()
	hello := task.Define[letter]("hello")
	t.Run("inner", func(t *testing.T) {
		sys := chassistest.New(t, chassistest.DefaultLogger())
		chassis.Handle(sys.System, hello, func(ctx context.Context, job task.Job[letter]) error {
			slog.InfoContext(ctx, "hello there", "to", job.Args.To)
			return nil
		})
		id := chassistest.Send(sys, hello, letter{To: "z"}, task.ForJob("7", "spring"))
		sys.RunUntilIdle()
		r := sys.AssertLogged("INFO", "hello there")
		if r.Fields["service"] != "test" || r.Fields["job_id"] != "7" || r.Fields["exec_id"] != id || r.Fields["to"] != "z" || r.Time.IsZero() {
			t.Errorf("record %+v", r)
		}
	})
	if slog.Default() != before {
		t.Error("slog's default logger was not put back")
	}
}
