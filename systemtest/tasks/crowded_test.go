package tasks_test

import (
	"context"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// An outage: 125 000 tasks fail once each and wait an hour. Some minutes after the start a healthy task is sent. (SQS: 120 000 in flight a queue.)
// The failed ones were all hidden: the queue gave nothing more, and the healthy task waited for 50 minutes (aws/aws-sdk-go#1972).
// Right: it runs within a minute; beyond postponed_share what has failed is carried on by copies, as scheduled tasks are.
// By default there are 2 000 tasks and a share of 1 %; with CHASSIS_SCALE=full the queue's own limit is met, which takes half a minute.
func TestHiddenFailuresFillTheQueueAndHealthyTasksWait(t *testing.T) {
	thousands, share, outage := 2, 0.01, 20*time.Minute // SQS delays a copy for 15 at most: then all have come again
	if os.Getenv("CHASSIS_SCALE") == "full" {
		thousands, share, outage = 125, 0.5, 10*time.Minute
	}
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("error", func(s *chassis.Settings) {
			s.Tasks.Workers, s.Tasks.MaxWorkers, s.Tasks.PostponedShare = 100, 100, share
		}))
		fails, healthy := task.Define[kit.Payload]("fails", task.Wait(time.Hour, task.None)), task.Define[kit.Payload]("healthy")
		var ran atomic.Int64
		var at atomic.Pointer[time.Time]
		chassis.Handle(sys.System, fails, func(context.Context, task.Job[kit.Payload]) error {
			if ran.Add(1) <= int64(thousands)*1000 {
				return kit.ErrBroken
			}
			return nil
		})
		chassis.Handle(sys.System, healthy, func(context.Context, task.Job[kit.Payload]) error { now := time.Now(); at.Store(&now); return nil })
		thousand := make([]chassis.Task, 1000)
		for i := range thousand {
			thousand[i] = chassis.Task{Name: "fails", Args: kit.Payload{N: i}}
		}
		for range thousands {
			if _, err := sys.SendMany(t.Context(), thousand); err != nil {
				t.Fatal(err)
			}
		}
		kit.Begin(t, sys)
		kit.Pass(outage)
		for _, q := range sys.Queue.Stats().Queues {
			if most := int(share*120_000) + 200; q.InFlight > most {
				t.Errorf("%d messages of %s are in flight, want %d at most", q.InFlight, q.Name, most)
			}
		}
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
