package tasks_test

import (
	"context"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/queue/localsqs"
	"github.com/sambatech/chassis/task"
)

// The worker's clock is two hours behind the queue's; a task with MaxFailures(1) is scheduled 30 minutes ahead.
// Each postponement was taken for a failure: it became a dead letter that never ran.
// Right: it runs once, within a minute of its time by the worker's clock or the queue's.
func TestATaskOfAWorkerWhoseClockIsBehindIsADeadLetterThatNeverRan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, err := localsqs.New(localsqs.Clock(ahead{}))
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		sys, err := chassis.New("test", chassis.WithSettings(chassis.DefaultSettings()), chassis.WithEmbedded(q), chassis.WithoutDefaultLogger(),
			chassis.WithLogOutput(io.Discard), chassis.WithActorConfig(actor.WithDeadLetterThrottleInterval(time.Millisecond)))
		if err != nil {
			t.Fatal(err)
		}
		later := task.Define[payload]("later", task.Window(0), task.MaxFailures(1))
		ran := 0
		chassis.Handle(sys, later, func(context.Context, task.Job[payload]) error { ran++; return nil })
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := chassis.Send(t.Context(), sys, later, payload{}, task.At(time.Now().Add(30*time.Minute))); err != nil {
			t.Fatal(err)
		}
		pass(4 * time.Hour)
		if ran != 1 {
			t.Errorf("ran %d times, want once; queues %s", ran, depths(q))
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		pass(time.Second)
	})
}
