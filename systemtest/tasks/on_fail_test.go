package tasks_test

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

// The on_fail task goes to a pool that is away for two hours, and itself fails there; messages of unknown names come in bulk
// (sidekiq/sidekiq#6628, riverqueue/river#1165, hibiken/asynq#1015).
// Right: the task runs its budget once, its on_fail task runs its own once the pool is there, and is a dead letter; what is known runs within two minutes.
func TestAnOnFailTaskWhosePoolIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := onQueue(t, queues["as AWS"], chassistest.Name("test"), kit.Quietly("critical"))
		other := chassistest.New(t, chassistest.Beside(base), kit.Quietly("critical", kit.OnPool("other")))
		p := &kit.Tap{Before: func(op string, r *http.Request) (*http.Response, error) {
			if op != "ReceiveMessage" && strings.Contains(bodyOf(r), `other"`) {
				return answer(r, 400, "QueueDoesNotExist", "no"), nil
			}
			return nil, nil
		}}
		sys := kit.Tapped(t, base, p, kit.Quietly("critical"))
		sorry := task.Define[kit.Payload]("sorry", task.MaxFailures(2), task.Wait(time.Second, task.None))
		fail := task.Define[kit.Payload]("fail", task.MaxFailures(2), task.Wait(time.Second, task.None), task.OnFailIn("other", "sorry"))
		ran, sorries, known, strange := 0, 0, 0, task.Define[kit.Payload]("strange")
		chassis.Handle(other.System, sorry, func(context.Context, task.Job[kit.Payload]) error { sorries++; return kit.ErrBroken })
		chassis.Handle(base.System, strange, func(context.Context, task.Job[kit.Payload]) error { return nil })
		for _, s := range []*chassis.System{base.System, sys.System} {
			chassis.Handle(s, fail, func(context.Context, task.Job[kit.Payload]) error { ran++; return kit.ErrBroken })
			chassis.Handle(s, quick, func(context.Context, task.Job[kit.Payload]) error { known++; return nil })
		}
		kit.Begin(t, other)
		kit.Begin(t, sys)
		chassistest.Send(base, fail, kit.Payload{})
		for range 200 {
			chassistest.Send(base, strange, kit.Payload{})
		}
		for i := range 60 {
			chassistest.Send(base, quick, kit.Payload{N: i})
			kit.Pass(2 * time.Minute)
			if known != i+1 {
				t.Fatalf("%d of %d known tasks ran", known, i+1)
			}
		}
		if ready := sys.Ready(t.Context()); len(ready.Reasons) == 0 {
			t.Error("readiness names no queue that is away")
		}
		p.Set(nil)
		kit.Pass(time.Hour)
		if ran != 2 || sorries != 2 {
			t.Errorf("the task ran %d times and its on_fail task %d, want 2 and 2; queues %s", ran, sorries, kit.Depths(base.Queue))
		}
		if dead := other.Dead(); len(dead) != 1 {
			t.Errorf("%d dead letters of the on_fail task", len(dead))
		}
		if dead := base.Dead(); len(dead) != 200 {
			t.Errorf("%d dead letters, want those of the 200 unknown names", len(dead))
		}
	})
}
