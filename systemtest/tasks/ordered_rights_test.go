package tasks_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// A FIFO pool of two groups; a right is refused for two hours (ruby-shoryuken/shoryuken#716, awspring/spring-cloud-aws#196, aws/aws-dotnet-messaging#191).
// Right: no group waits for ever, each task ends as it would, or is a dead letter that says why.
func TestARightIsRefusedOnAFIFOPool(t *testing.T) {
	for _, right := range []string{"SendMessage", "ReceiveMessage", "GetQueueAttributes"} {
		t.Run(right, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := onQueue(t, queues["as AWS"], chassistest.Name("test"), kit.Quietly("critical", kit.OnPool("test.fifo")))
				p, l := &kit.Tap{}, newLoad()
				sys := kit.Tapped(t, base, p, kit.Quietly("critical", kit.OnPool("test.fifo")))
				l.handle(sys.System)
				l.handle(base.System)
				l.send(t, base, 1, task.Group("a"))
				l.send(t, base, 1, task.Group("b"))
				kit.Begin(t, sys)
				kit.Pass(30 * time.Second)
				p.Set(func(op string, r *http.Request) (*http.Response, error) {
					if strings.HasPrefix(op, right) {
						return answer(r, http.StatusForbidden, "AccessDenied", "not authorized to perform: sqs:"+right), nil
					}
					return nil, nil
				})
				kit.Pass(2 * time.Hour)
				p.Set(nil)
				kit.Pass(6 * time.Hour)
				l.judge(t, base.Queue, letters(base), 1, "")
			})
		})
	}
}
