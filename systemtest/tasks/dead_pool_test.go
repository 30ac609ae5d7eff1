package tasks_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// The queue of the dead letters refuses for three hours: its key is disabled, it is not there, it fails, it takes none of the messages
// (Particular/NServiceBus.SqlServer#1625, AirHelp/eventboss#55, vyuldashev/laravel-queue-rabbitmq#305).
// Five tasks that failed made 32 340 sends in three hours, and readiness was OK, unless the answer was a missing right.
// Right: one run each, fewer than 500 requests about that queue in three hours, readiness ERROR, and a dead letter of each afterwards.
func TestADeadPoolThatFailsIsSentToWithoutEndAndReadinessIsOK(t *testing.T) {
	for code, status := range map[string]int{"KmsDisabled": 400, "QueueDoesNotExist": 400, "InternalError": 500, "InvalidParameterValue": 400} {
		t.Run(code, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := onQueue(t, nil, chassistest.Name("test"), kit.Quietly("critical"))
				fail := task.Define[kit.Payload]("fail", task.MaxFailures(1))
				var ran, refused atomic.Int64
				p := &kit.Tap{Before: func(op string, r *http.Request) (*http.Response, error) {
					if (op == "SendMessageBatch" || op == "GetQueueUrl" && code == "QueueDoesNotExist") && strings.Contains(bodyOf(r), "test-tasks_dead") {
						refused.Add(1)
						return answer(r, status, code, "no"), nil
					}
					return nil, nil
				}}
				sys := kit.Tapped(t, base, p, kit.Quietly("critical"))
				for _, s := range []*chassis.System{base.System, sys.System} {
					chassis.Handle(s, fail, func(context.Context, task.Job[kit.Payload]) error { ran.Add(1); return kit.ErrBroken })
				}
				kit.Begin(t, sys)
				for range 5 {
					chassistest.Send(base, fail, kit.Payload{})
				}
				kit.Pass(3 * time.Hour)
				if ready := sys.Ready(t.Context()); len(ready.Reasons) == 0 {
					t.Errorf("readiness is %v", ready)
				}
				if refused.Load() > 500 {
					t.Errorf("%d requests in 3 hours", refused.Load())
				}
				p.Set(nil)
				kit.Pass(time.Hour)
				if dead := letters(base); len(dead) != 5 || ran.Load() != 5 {
					t.Errorf("%d dead letters after %d runs, want 5 after 5; queues %s", len(dead), ran.Load(), kit.Depths(base.Queue))
				}
				if ready := sys.Ready(t.Context()); len(ready.Reasons) > 0 {
					t.Errorf("afterwards readiness is %v", ready)
				}
			})
		})
	}
}

// bodyOf is what a request carries.
func bodyOf(r *http.Request) string {
	body, err := r.GetBody()
	if err != nil {
		return ""
	}
	text, _ := io.ReadAll(body)
	return string(text)
}
