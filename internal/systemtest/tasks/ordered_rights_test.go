package tasks_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/task"
)

// A FIFO pool of two groups; a right is refused for two hours (ruby-shoryuken/shoryuken#716, awspring/spring-cloud-aws#196, aws/aws-dotnet-messaging#191).
// Right: no group waits for ever, each task ends as it would, or is a dead letter that says why.
func TestARightIsRefusedOnAFIFOPool(t *testing.T) {
	for _, right := range []string{"SendMessage", "ReceiveMessage", "GetQueueAttributes"} {
		t.Run(right, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := onQueue(t, queues["as AWS"], chassistest.Name("test"), quietly("critical", onPool("test.fifo")))
				p, l := &tap{}, newLoad()
				sys := tapped(t, base, p, quietly("critical", onPool("test.fifo")))
				l.handle(sys.System)
				l.handle(base.System)
				l.send(t, base, 1, task.Group("a"))
				l.send(t, base, 1, task.Group("b"))
				begin(t, sys)
				pass(30 * time.Second)
				p.set(func(op string, r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(op, right) {
						return answer(r, http.StatusForbidden, "AccessDenied", "not authorized to perform: sqs:"+right), nil
					}
					return nil, nil
				})
				pass(2 * time.Hour)
				p.set(nil)
				pass(6 * time.Hour)
				l.judge(t, base.Queue, letters(base), 1, "")
			})
		})
	}
}
