package tasks_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// python is an idle consumer of the Python chassis on the same pool: it polls for
// 2 s, hides what it does not know, or what is not due by its when, and finds the
// rest again. What it knows it deletes.
func python(ctx context.Context, t *testing.T, client *sqs.Client, pool string, ran func(types.Message)) {
	url, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &pool})
	if err != nil {
		t.Error(err)
		return
	}
	for ctx.Err() == nil {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: url.QueueUrl, MaxNumberOfMessages: 1, WaitTimeSeconds: 2, VisibilityTimeout: 120, MessageAttributeNames: []string{"All"},
		})
		if err != nil {
			continue // the test is over
		}
		for _, m := range out.Messages {
			hide := int32(10) // unknown_tasks_delay
			if when, err := time.Parse(task.WhenLayout, *m.MessageAttributes[task.AttrWhen].StringValue); err != nil {
				t.Errorf("the Python consumer cannot read when: %v", err)
			} else if wait := time.Until(when); wait > 0 {
				hide = int32(min(wait.Seconds()+1, 18_000))
			} else if ran != nil {
				ran(m)
				_, _ = client.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: url.QueueUrl, ReceiptHandle: m.ReceiptHandle})
				continue
			}
			_, _ = client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url.QueueUrl, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: hide})
		}
	}
}

// Two services of the Python chassis idle on a pool with tasks that only the Go service
// knows. Each of their postponements is a receive: 72 of 100 tasks were dead
// letters that never ran, and the rest ran one at a time.
func TestPythonConsumersCostNoTaskItsBudget(t *testing.T) {
	for _, consumers := range []int{2, 8} {
		synctest.Test(t, func(t *testing.T) {
			sys := chassistest.New(t, kit.Quietly("critical", func(s *chassis.Settings) { s.Tasks.Workers, s.Tasks.MaxWorkers = 4, 4 }))
			ours := task.Define[kit.Payload]("ours", task.MaxFailures(1))
			var mu sync.Mutex
			ran, inside, most := map[int]int{}, 0, 0
			chassis.Handle(sys.System, ours, func(_ context.Context, j task.Job[kit.Payload]) error {
				mu.Lock()
				ran[j.Args.N]++
				inside++
				most = max(most, inside)
				mu.Unlock()
				time.Sleep(3 * time.Second)
				mu.Lock()
				inside--
				mu.Unlock()
				return nil
			})
			kit.Begin(t, sys)
			ctx, end := context.WithCancel(t.Context())
			var others sync.WaitGroup
			for range consumers {
				others.Go(func() { python(ctx, t, sys.SQS(), "test-tasks", nil) })
			}
			for i := range 100 {
				chassistest.Send(sys, ours, kit.Payload{N: i})
				kit.Pass(time.Duration(rand.N(int64(2 * time.Second))))
			}
			kit.Pass(time.Hour)
			end()
			others.Wait()
			if len(ran) != 100 || len(sys.Dead()) != 0 || most < 2 {
				t.Errorf("%d consumers: %d of 100 tasks ran, %d at once, %d dead letters; queues %s", consumers, len(ran), most, len(sys.Dead()), kit.Depths(sys.Queue))
			}
		})
	}
}

// A copy that waits longer than SQS delays it carries its not-before in when too:
// a Python consumer on the pool ran it at once. The time first asked for stays.
func TestAWaitingCopyIsNotRunEarlyByAPythonConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical"))
		flaky := task.Define[kit.Payload]("flaky", task.Wait(2*time.Hour, task.None))
		var failed time.Time
		chassis.Handle(sys.System, flaky, func(context.Context, task.Job[kit.Payload]) error { failed = time.Now(); return kit.ErrBroken })
		asked := time.Now().Truncate(time.Second)
		chassistest.Send(sys, flaky, kit.Payload{}, task.At(asked))
		kit.Begin(t, sys)
		kit.Pass(time.Minute)
		if err := sys.Stop(context.Background()); err != nil {
			t.Fatal(err)
		}
		var at time.Time
		var msg task.Message
		ctx, end := context.WithCancel(t.Context())
		var other sync.WaitGroup
		other.Go(func() {
			python(ctx, t, sys.SQS(), "test-tasks", func(m types.Message) {
				at = time.Now()
				msg, _ = task.Decode(*m.Body, m.MessageAttributes)
			})
		})
		kit.Pass(4 * time.Hour)
		end()
		other.Wait()
		if wait := at.Sub(failed); wait < 2*time.Hour || wait > 2*time.Hour+15*time.Second {
			t.Errorf("the Python consumer ran it %v after the failure, want 2h0m0s", wait)
		}
		if !msg.When.Equal(asked) || msg.Failures != 1 {
			t.Errorf("on the message: when %v with %d failures, asked for %v", msg.When, msg.Failures, asked)
		}
	})
}
