package tasks_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// An outage: 125 000 tasks fail once each and wait an hour. Ten minutes after the start a healthy task is sent. (SQS: 120 000 in flight a queue.)
// The failed ones were all hidden: the queue gave nothing more, and the healthy task waited for 50 minutes (aws/aws-sdk-go#1972).
// Right: it runs within a minute; beyond postponed_share what has failed is carried on by copies, as scheduled tasks are.
func TestHiddenFailuresFillTheQueueAndHealthyTasksWait(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("error", func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 100, 100 }))
		fails, healthy := task.Define[kit.Payload]("fails", task.Wait(time.Hour, task.None)), task.Define[kit.Payload]("healthy")
		var ran atomic.Int64
		var at atomic.Pointer[time.Time]
		chassis.Handle(sys.System, fails, func(context.Context, task.Job[kit.Payload]) error {
			if ran.Add(1) <= 125_000 {
				return kit.ErrBroken
			}
			return nil
		})
		chassis.Handle(sys.System, healthy, func(context.Context, task.Job[kit.Payload]) error { now := time.Now(); at.Store(&now); return nil })
		thousand := make([]chassis.Task, 1000)
		for i := range thousand {
			thousand[i] = chassis.Task{Name: "fails", Args: kit.Payload{N: i}}
		}
		for range 125 {
			if _, err := sys.SendMany(t.Context(), thousand); err != nil {
				t.Fatal(err)
			}
		}
		kit.Begin(t, sys)
		kit.Pass(10 * time.Minute)
		sent := time.Now()
		chassistest.Send(sys, healthy, kit.Payload{})
		for range 60 {
			if kit.Pass(time.Minute); at.Load() != nil {
				break
			}
		}
		if at.Load() == nil || at.Load().Sub(sent) > time.Minute {
			t.Errorf("the healthy task was sent at %v and ran at %v; queues %s", sent, at.Load(), kit.Depths(sys.Queue))
		}
	})
}
