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
	"github.com/sambatech/chassis/systemtest/internal/kit"
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
		later := task.Define[kit.Payload]("later", task.Window(0), task.MaxFailures(1))
		ran := 0
		chassis.Handle(sys, later, func(context.Context, task.Job[kit.Payload]) error { ran++; return nil })
		if err := sys.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := chassis.Send(t.Context(), sys, later, kit.Payload{}, task.At(time.Now().Add(30*time.Minute))); err != nil {
			t.Fatal(err)
		}
		kit.Pass(4 * time.Hour)
		if ran != 1 {
			t.Errorf("ran %d times, want once; queues %s", ran, kit.Depths(q))
		}
		if err := sys.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		kit.Pass(time.Second)
	})
}

// ahead is a clock that goes two hours before everybody else's.
type ahead struct{}

func (ahead) Now() time.Time                                  { return time.Now().Add(2 * time.Hour) }
func (ahead) AfterFunc(d time.Duration, f func()) func() bool { return time.AfterFunc(d, f).Stop }
