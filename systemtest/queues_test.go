package systemtest_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// The operator has made the pool's queue with MessageRetentionPeriod 3600; a task is scheduled 10 h ahead.
// Right: it runs when it is due (the smaller retention counts, the queue's or the setting's); or Start, or Send, refuses and says why.
func TestAQueueWithAShorterRetentionLosesScheduledTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical"))
		kit.QueueOf(t, sys.Queue, "test-tasks", map[string]string{"MessageRetentionPeriod": "3600"})
		scheduled(t, sys, 10*time.Hour)
	})
}

// A first run of the service has made the queue (96 h); then tasks.retention_period is set to 336h, and a task is scheduled 6 days ahead.
// Right: as above; or the queue's own retention is raised by the setting.
func TestARetentionPeriodRaisedLaterLosesScheduledTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := chassistest.New(t, kit.Quietly("critical"))
		first := task.Define[kit.Payload]("first")
		chassis.Handle(old.System, first, func(context.Context, task.Job[kit.Payload]) error { return nil })
		chassistest.Send(old, first, kit.Payload{})
		old.RunUntilIdle()
		if err := old.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		sys := chassistest.New(t, chassistest.Beside(old), kit.Quietly("critical", func(s *chassis.Settings) { s.Tasks.RetentionPeriod = 336 * time.Hour }))
		scheduled(t, sys, 6*24*time.Hour)
	})
}

// scheduled sends a task that is due in d and fails the test unless it runs
// then, or is refused.
func scheduled(t *testing.T, sys *chassistest.System, d time.Duration) {
	t.Helper()
	later := task.Define[kit.Payload]("later", task.Window(0))
	var ran []time.Time
	chassis.Handle(sys.System, later, func(context.Context, task.Job[kit.Payload]) error { ran = append(ran, time.Now()); return nil })
	if err := sys.Start(t.Context()); err != nil {
		t.Logf("Start refuses: %v", err)
		return
	}
	due := time.Now().Add(d)
	if _, err := chassis.Send(t.Context(), sys.System, later, kit.Payload{}, task.At(due)); err != nil {
		t.Logf("Send refuses: %v", err)
		return
	}
	kit.Pass(d + time.Hour)
	if len(ran) != 1 || ran[0].Before(due) || ran[0].Sub(due) > time.Minute {
		t.Errorf("due in %v; ran %d times, at %v; queues %s", d, len(ran), ran, kit.Depths(sys.Queue))
	}
	sys.AssertNoneDead()
}

// The pool's queue and its dead pool take 256 KiB (made so by the operator); the task has the largest body that Send accepts, and fails to its end.
// Right: three runs and one dead letter (attributes shortened as for 1 MiB), or Send keeps so much room free.
func TestADeadLetterLargerThanItsQueueTakesIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical"))
		for _, name := range []string{"test-tasks", "test-tasks_dead"} {
			kit.QueueOf(t, sys.Queue, name, map[string]string{"MaximumMessageSize": "262144"})
		}
		big := task.Define[kit.Payload]("big", task.MaxFailures(3), task.Wait(time.Second, task.None))
		ran := 0
		chassis.Handle(sys.System, big, func(context.Context, task.Job[kit.Payload]) error { ran++; return kit.ErrBroken })
		kit.Begin(t, sys)
		id := largest(t, sys, big)
		kit.Pass(30 * time.Minute)
		if ran != 3 {
			t.Errorf("ran %d times, want 3; queues %s", ran, kit.Depths(sys.Queue))
		}
		sys.AssertDead(id, task.ReasonExhausted)
	})
}

// largest sends the task with the largest body that is accepted.
func largest(t *testing.T, sys *chassistest.System, def *task.Definition[kit.Payload]) string {
	t.Helper()
	small, large := 200_000, 262_144 // one that fits, one that does not
	var last string
	probe := func(n int) bool {
		id, err := chassis.Send(t.Context(), sys.System, def, kit.Payload{Data: strings.Repeat("x", n)}, task.Pool("probes"))
		last = id
		return err == nil
	}
	kit.QueueOf(t, sys.Queue, "probes", map[string]string{"MaximumMessageSize": "262144"})
	for large-small > 1 {
		if mid := (small + large) / 2; probe(mid) {
			small = mid
		} else {
			large = mid
		}
	}
	last, err := chassis.Send(t.Context(), sys.System, def, kit.Payload{Data: strings.Repeat("x", small)})
	if err != nil {
		t.Fatalf("%d bytes: %v", small, err)
	}
	return last
}

// The operator has given the pool's queue a redrive policy with maxReceiveCount 3; the task fails 4 times of the 10 it may.
// Right: five runs; or Start refuses, or warns, and names the redrive policy.
func TestARedrivePolicyOnThePoolTakesTasksThatMayStillRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("warning"))
		kit.QueueOf(t, sys.Queue, "ops-dlq", nil)
		kit.QueueOf(t, sys.Queue, "test-tasks", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:ops-dlq","maxReceiveCount":3}`})
		flaky := task.Define[kit.Payload]("flaky", task.Wait(time.Minute, task.None))
		ran := 0
		chassis.Handle(sys.System, flaky, func(context.Context, task.Job[kit.Payload]) error {
			if ran++; ran <= 4 {
				return kit.ErrBroken
			}
			return nil
		})
		if err := sys.Start(t.Context()); err != nil {
			t.Logf("Start refuses: %v", err)
			return
		}
		id := chassistest.Send(sys, flaky, kit.Payload{})
		kit.Pass(time.Minute)
		if kit.Warned(sys, "redrive", "maxReceiveCount") {
			return
		}
		kit.Pass(2 * time.Hour)
		if ran != 5 {
			t.Errorf("ran %d times, want 5; queues %s", ran, kit.Depths(sys.Queue))
		}
		sys.AssertSucceeded(id)
	})
}

// A usual consumer role: it may receive and delete, but not send. The task snoozes, or is cancelled, or fails to its end.
// Right: within 10 minutes readiness is ERROR with the reason and an ERROR line names what is refused; fewer than 500 sends a day.
func TestARoleThatMayNotSendIsTriedForDaysAndReadinessIsOK(t *testing.T) {
	for name, outcome := range map[string]error{"snoozed": task.Snooze(time.Minute), "cancelled": task.Cancel(kit.ErrBroken), "exhausted": kit.ErrBroken} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				job := task.Define[kit.Payload]("job", task.MaxFailures(2), task.Wait(time.Second, task.None))
				base := chassistest.New(t, chassistest.Name("test"), kit.Quietly("critical"))
				p := &kit.Tap{Before: func(op string, r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(op, "SendMessage") {
						return kit.Refused(r, "sendmessage"), nil
					}
					return nil, nil
				}}
				sys := kit.Tapped(t, base, p, kit.Quietly("error"))
				chassis.Handle(base.System, job, func(context.Context, task.Job[kit.Payload]) error { return nil }) // it only sends
				ran := 0
				chassis.Handle(sys.System, job, func(context.Context, task.Job[kit.Payload]) error {
					if ran++; name == "snoozed" && ran > 3 {
						return nil // a wait that needs no sending ends well
					}
					return outcome
				})
				id := chassistest.Send(base, job, kit.Payload{})
				kit.Begin(t, sys)
				kit.Pass(10 * time.Minute)
				if sys.Outcome(id).State == chassistest.Succeeded {
					return
				}
				if ready := sys.Ready(t.Context()); len(ready.Reasons) == 0 {
					t.Errorf("after 10 minutes of refusals readiness is %v", ready)
				}
				if !kit.Warned(sys, "sendmessage") {
					t.Error("no line at WARN or above names the right that is missing")
				}
				kit.Pass(24 * time.Hour)
				if n := p.Count("SendMessage"); n >= 500 {
					t.Errorf("%d sends in a day for one message; queues %s", n, kit.Depths(base.Queue))
				}
				p.Set(nil) // else the stop reports what it could not end
				kit.Pass(time.Hour)
			})
		})
	}
}

// The sender has a typo in the name of another service's pool: task.Pool("mialer-tasks").
// Right: an error (missing_queue: create is for the service's own pools), or a WARN that names the queue that was made.
func TestATypoInAPoolsNameMakesAQueueInSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("warning"))
		_, err := chassis.Send(t.Context(), sys.System, task.Define[kit.Payload]("mail"), kit.Payload{}, task.Pool("mialer-tasks"))
		if err == nil && !kit.Warned(sys, "mialer-tasks") {
			t.Errorf("taken without a word; queues %s", kit.Depths(sys.Queue))
		}
	})
}
