package tasks_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
)

// A right is refused for three hours while tasks run, and given back; then the next one. With none named all are, as with credentials that expire
// (RichardKnop/machinery#694, kifi/franz#63, bbc/sqs-consumer#373, celery/kombu#2031, awslabs/amazon-sqs-java-messaging-lib#85, iHiD/propono#32).
// A task that snoozed became a dead letter, "25 deliveries that ended without a result"; one of 3 failures ran 8 to 11 times, one that was cancelled 7.
// Right: each task ends as it would, at most one run more than it would take; readiness names what is missing and is OK again; fewer than 300 such requests an hour.
func TestARightIsRefusedForHoursAndGivenBack(t *testing.T) {
	for _, c := range []struct {
		right, queue string
		silent       bool // the service works without
	}{
		{"DeleteMessage", "as AWS", false}, {"ChangeMessageVisibility", "as AWS", false}, {"ReceiveMessage", "kind", false}, {"SendMessage", "as AWS", false}, {"SendMessage", "kind", false},
		{"GetQueueAttributes", "kind", true}, {"GetQueueUrl", "kind", true}, {"CreateQueue", "kind", true}, {"", "kind", false},
	} {
		t.Run(c.right+" "+c.queue, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := onQueue(t, queues[c.queue], chassistest.Name("test"), kit.Quietly("critical"))
				p, l := &kit.Tap{}, newLoad()
				sys := kit.Tapped(t, base, p, kit.Quietly("critical"))
				l.handle(base.System)
				l.handle(sys.System)
				l.send(t, base, 2)
				kit.Begin(t, sys)
				kit.Pass(30 * time.Second)
				p.Set(func(op string, r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(op, c.right) {
						return answer(r, http.StatusForbidden, "AccessDenied", "not authorized to perform: sqs:"+c.right), nil
					}
					return nil, nil
				})
				kit.Pass(10 * time.Minute)
				if ready := sys.Ready(t.Context()); len(ready.Reasons) == 0 && !c.silent {
					t.Errorf("after ten minutes readiness is %v", ready)
				}
				before := p.Count(c.right)
				kit.Pass(3 * time.Hour)
				if n := p.Count(c.right) - before; n > 3*300 {
					t.Errorf("%d requests in 3 hours", n)
				}
				p.Set(nil)
				kit.Pass(time.Hour)
				if ready := sys.Ready(t.Context()); len(ready.Reasons) > 0 {
					t.Errorf("an hour after it was given back readiness is %v", ready)
				}
				kit.Pass(6 * time.Hour)
				but := ""
				if c.right == "ChangeMessageVisibility" {
					but = "slow" // it can not end within its first lease
				}
				l.judge(t, base.Queue, letters(base), 1, but)
			})
		})
	}
}
