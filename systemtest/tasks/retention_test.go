package tasks_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// All defaults but the wait after a failure; the handler fails each time. The queue keeps a message for 96 h.
// The message was hidden past its end and vanished, after 9 of 10 runs or 96 of 100, without a dead letter (guardian/support-service-lambdas#2288).
// Right: every run that the task is allowed, and then a dead letter (exhausted).
func TestATaskThatFailsForDaysVanishesWithoutADeadLetter(t *testing.T) {
	for _, c := range []struct {
		wait time.Duration
		max  int
	}{{11 * time.Hour, 10}, {time.Hour, 100}} {
		t.Run(c.wait.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := chassistest.New(t, kit.Quietly("critical"))
				doomed := task.Define[kit.Payload]("doomed", task.Wait(c.wait, task.None), task.MaxFailures(c.max))
				ran := 0
				chassis.Handle(sys.System, doomed, func(context.Context, task.Job[kit.Payload]) error { ran++; return kit.ErrBroken })
				id := chassistest.Send(sys, doomed, kit.Payload{})
				kit.Begin(t, sys)
				for range 10 * 24 {
					if kit.Pass(time.Hour); len(sys.Dead()) > 0 {
						break
					}
				}
				if ran != c.max {
					t.Errorf("ran %d times, want %d; queues %s", ran, c.max, kit.Depths(sys.Queue))
				}
				sys.AssertDead(id, task.ReasonExhausted)
			})
		})
	}
}

// The consumer was down for 94 of the 96 h that the queue keeps a message; the first run fails and waits 6 h.
// The message was hidden past its end and never ran again (boto/boto3#2898).
// Right: it runs a second time 6 h later, and is done.
func TestAnOldMessageVanishesAfterItsFirstFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical"))
		flaky := task.Define[kit.Payload]("flaky", task.Wait(6*time.Hour, task.None))
		ran := 0
		chassis.Handle(sys.System, flaky, func(context.Context, task.Job[kit.Payload]) error {
			if ran++; ran == 1 {
				return kit.ErrBroken
			}
			return nil
		})
		id := chassistest.Send(sys, flaky, kit.Payload{})
		kit.Pass(94 * time.Hour)
		kit.Begin(t, sys)
		kit.Pass(12 * time.Hour)
		if ran != 2 {
			t.Errorf("ran %d times, want 2; queues %s", ran, kit.Depths(sys.Queue))
		}
		sys.AssertSucceeded(id)
	})
}

// A FIFO pool, a task scheduled 5 days ahead, and another of the same group behind it. The queue keeps a message for 96 h.
// Both vanished after 96 h (ruby-shoryuken/shoryuken#731).
// Right: each runs once, the first when it is due; or Send refuses the first, or it is a dead letter, and the second runs.
func TestAFIFOTaskScheduledBeyondRetentionVanishesWithItsGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical", kit.OnPool("test.fifo")))
		later := task.Define[kit.Payload]("later", task.Window(0))
		ran := map[int]time.Time{}
		chassis.Handle(sys.System, later, func(_ context.Context, j task.Job[kit.Payload]) error { ran[j.Args.N] = time.Now(); return nil })
		due := time.Now().Add(5 * 24 * time.Hour)
		_, refusal := chassis.Send(t.Context(), sys.System, later, kit.Payload{N: 1}, task.At(due), task.Group("g"))
		chassistest.Send(sys, later, kit.Payload{N: 2}, task.Group("g"))
		kit.Begin(t, sys)
		kit.Pass(95 * time.Hour)
		dead := len(sys.Dead())
		kit.Pass(4 * 24 * time.Hour)
		if at, ok := ran[1]; refusal == nil && dead == 0 && (!ok || at.Before(due)) {
			t.Errorf("the scheduled task ran: %v, at %v; due at %v", ok, at, due)
		}
		if _, ok := ran[2]; !ok {
			t.Errorf("the task behind it never ran; queues %s", kit.Depths(sys.Queue))
		}
	})
}

// A FIFO pool; the handler returns task.RetryAfter(err, 24h), as for a partner's daily limit.
// The next run came after 11 h 58 min, the longest that SQS hides a message (Particular/NServiceBus.AmazonSQS#190).
// Right: not before 24 h, with the group waiting; or a dead letter that says that FIFO pools cannot wait so long.
func TestRetryAfterOnAFIFOPoolIsCutToTwelveHours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical", kit.OnPool("test.fifo")))
		flaky := task.Define[kit.Payload]("flaky")
		var at []time.Time
		chassis.Handle(sys.System, flaky, func(context.Context, task.Job[kit.Payload]) error {
			if at = append(at, time.Now()); len(at) == 1 {
				return task.RetryAfter(kit.ErrBroken, 24*time.Hour)
			}
			return nil
		})
		chassistest.Send(sys, flaky, kit.Payload{}, task.Group("g"))
		sys.RunUntilIdle()
		if len(at) == 2 && at[1].Sub(at[0]) < 24*time.Hour {
			t.Errorf("the second run came after %v, the handler asked for 24h", at[1].Sub(at[0]))
		} else if len(at) != 2 && len(sys.Dead()) == 0 {
			t.Errorf("%d runs and no dead letter; queues %s", len(at), kit.Depths(sys.Queue))
		}
	})
}
