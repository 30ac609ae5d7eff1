package tasks_test

import (
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
)

// The queue throttles for an hour, does not know the credentials, does not answer, or refuses connections, while tasks run, wait and are scheduled
// (Particular/NServiceBus.AmazonSQS#519, aws/aws-sdk-go#3229, aws/aws-sdk-ruby#1490, ssut/nestjs-sqs#28, hibiken/asynq#1144).
// A task that had failed twice in place began its budget again: five runs of three.
// Right: each task ends as it would, at most one run more; readiness says so, and is OK within a minute or two after.
func TestAnOutageOfAnHourRenewsABudget(t *testing.T) {
	for name, how := range map[string]func(string, *http.Request) (*http.Response, error){
		"throttled": func(_ string, r *http.Request) (*http.Response, error) {
			return answer(r, 400, "RequestThrottled", "slow down"), nil
		},
		"credentials": func(_ string, r *http.Request) (*http.Response, error) {
			return answer(r, 400, "ExpiredTokenException", "expired"), nil
		},
		"no answer":     kit.Hang,
		"no connection": func(string, *http.Request) (*http.Response, error) { return nil, errors.New("connection refused") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := onQueue(t, queues["as AWS"], chassistest.Name("test"), kit.Quietly("critical"))
				p, l := &kit.Tap{}, newLoad()
				sys := kit.Tapped(t, base, p, kit.Quietly("critical"))
				l.handle(sys.System)
				l.handle(base.System)
				kit.Begin(t, sys)
				l.send(t, base, 2)
				kit.Pass(5 * time.Second)
				p.Set(how)
				kit.Pass(time.Hour)
				if ready := sys.Ready(t.Context()); len(ready.Reasons) == 0 {
					t.Errorf("after an hour readiness is %v", ready)
				}
				p.Set(nil)
				kit.Pass(2 * time.Minute)
				if ready := sys.Ready(t.Context()); len(ready.Reasons) > 0 {
					t.Errorf("two minutes after it readiness is %v", ready)
				}
				kit.Pass(3 * time.Hour)
				l.judge(t, base.Queue, letters(base), 1, "")
			})
		})
	}
}

// The queue is deleted and made again while the service runs
// (bbc/sqs-consumer#273, justeattakeaway/JustSaying#1108, awslabs/amazon-sqs-java-messaging-lib#205, floci-io/floci#1282).
// Right: readiness names it, fewer than 1 500 requests an hour (deletes of what is done are tried each 5 s), and all that is sent afterwards ends as it would.
func TestTheQueueIsDeletedAndMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := onQueue(t, queues["as AWS"], chassistest.Name("test"), kit.Quietly("critical"))
		p, old, l := &kit.Tap{}, newLoad(), newLoad()
		sys := kit.Tapped(t, base, p, kit.Quietly("critical"))
		l.handle(sys.System)
		old.handle(base.System)
		old.send(t, base, 2)
		kit.Begin(t, sys)
		kit.Pass(30 * time.Second)
		client, name, url := kit.QueueClient(t, base.Queue), "test-tasks", "http://sqs.local/000000000000/test-tasks"
		if _, err := client.DeleteQueue(t.Context(), &sqs.DeleteQueueInput{QueueUrl: &url}); err != nil {
			t.Fatal(err)
		}
		before := p.Count("")
		kit.Pass(time.Hour)
		if n := p.Count("") - before; n > 1500 {
			t.Errorf("%d requests in an hour", n)
		}
		if ready := sys.Ready(t.Context()); len(ready.Reasons) == 0 {
			t.Errorf("without its queue readiness is %v", ready)
		}
		if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name}); err != nil {
			t.Fatal(err)
		}
		kit.Pass(5 * time.Minute)
		l.send(t, base, 2)
		kit.Pass(3 * time.Hour)
		l.judge(t, base.Queue, letters(base), 1, "")
	})
}

// An operator changes the queue's attributes while the service runs (floci-io/floci#2104, pulibrary/bibdata#2463, laravel/framework#58729).
// Right: each task ends as it would, of those that run already and of those that are sent afterwards.
func TestTheQueuesAttributesChangeMeanwhile(t *testing.T) {
	for name, attributes := range map[string]map[string]string{
		"retention":  {"MessageRetentionPeriod": "3600"},
		"size":       {"MaximumMessageSize": "1024"},
		"redrive":    {"RedrivePolicy": `{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:ops-dlq","maxReceiveCount":2}`},
		"delay":      {"DelaySeconds": "900"},
		"visibility": {"VisibilityTimeout": "0"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := onQueue(t, queues["as AWS"], chassistest.Name("test"), kit.Quietly("critical"))
				l := newLoad()
				sys := kit.Tapped(t, base, &kit.Tap{}, kit.Quietly("critical"))
				l.handle(sys.System)
				l.handle(base.System)
				client, dlq, url := kit.QueueClient(t, base.Queue), "ops-dlq", "http://sqs.local/000000000000/test-tasks"
				if _, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &dlq}); err != nil {
					t.Fatal(err)
				}
				kit.Begin(t, sys)
				l.send(t, base, 2)
				kit.Pass(5 * time.Second)
				if _, err := client.SetQueueAttributes(t.Context(), &sqs.SetQueueAttributesInput{QueueUrl: &url, Attributes: attributes}); err != nil {
					t.Fatal(err)
				}
				kit.Pass(10 * time.Minute)
				l.send(t, base, 2)
				kit.Pass(5 * time.Hour)
				l.judge(t, base.Queue, letters(base), 1, "")
			})
		})
	}
}
