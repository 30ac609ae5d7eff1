package chassistest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

// A message can leave the queue without an event of the system: its retention
// ends while another receiver holds it, or that receiver deletes it.
func TestRunUntilIdleSeesAMessageThatLeavesByItself(t *testing.T) {
	job := task.Define[letter]("job")
	for name, c := range map[string]struct {
		held  func(*testing.T, *sqs.Client, *sqs.DeleteMessageInput)
		least time.Duration
		most  time.Duration
	}{
		"its retention ends": {func(*testing.T, *sqs.Client, *sqs.DeleteMessageInput) {}, time.Hour, time.Hour + time.Minute},
		"it is deleted": {func(t *testing.T, client *sqs.Client, in *sqs.DeleteMessageInput) {
			time.AfterFunc(10*time.Minute, func() {
				if _, err := client.DeleteMessage(context.WithoutCancel(t.Context()), in); err != nil {
					t.Error(err)
				}
			})
		}, 10 * time.Minute, 11 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sys := chassistest.New(t, chassistest.Limit(24*time.Hour))
				client, err := sqsclient.New(t.Context(), sqsclient.Settings{}, sqsclient.WithHTTPClient(sys.Queue.HTTPClient()))
				if err != nil {
					t.Fatal(err)
				}
				queue, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("test-tasks"), Attributes: map[string]string{"MessageRetentionPeriod": "3600"}})
				if err != nil {
					t.Fatal(err)
				}
				chassis.Handle(sys.System, job, func(context.Context, task.Job[letter]) error { return nil })
				chassistest.Send(sys, job, letter{})
				held, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, VisibilityTimeout: 12 * 3600})
				if err != nil || len(held.Messages) != 1 {
					t.Fatalf("%v, %d messages, want one", err, len(held.Messages))
				}
				c.held(t, client, &sqs.DeleteMessageInput{QueueUrl: queue.QueueUrl, ReceiptHandle: held.Messages[0].ReceiptHandle})
				began := time.Now()
				sys.RunUntilIdle()
				if d := time.Since(began); d < c.least || d > c.most {
					t.Errorf("it returned after %v, want %v to %v", d, c.least, c.most)
				}
			})
		})
	}
}
