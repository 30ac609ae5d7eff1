package systemtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis"
	"github.com/sambatech/chassis/chassistest"
	"github.com/sambatech/chassis/systemtest/internal/kit"
	"github.com/sambatech/chassis/task"
)

// A task is given up; the dead letters are not looked at for four days and an hour.
// Right: it is there; the dead pool is made with SQS's longest retention, 14 days, unless a setting says otherwise.
func TestDeadLettersAreGoneAfterFourDays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical"))
		doomed := task.Define[kit.Payload]("doomed", task.MaxFailures(1))
		chassis.Handle(sys.System, doomed, func(context.Context, task.Job[kit.Payload]) error { return kit.ErrBroken })
		id := chassistest.Send(sys, doomed, kit.Payload{})
		sys.RunUntilIdle()
		kit.Pass(97 * time.Hour)
		sys.AssertDead(id, task.ReasonExhausted)
		url, err := kit.QueueClient(t, sys.Queue).GetQueueUrl(t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("test-tasks_dead")})
		if err != nil {
			t.Fatal(err)
		}
		out, err := kit.QueueClient(t, sys.Queue).GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: url.QueueUrl, AttributeNames: []types.QueueAttributeName{"MessageRetentionPeriod"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := out.Attributes["MessageRetentionPeriod"]; got != "1209600" {
			t.Errorf("the dead pool keeps a letter for %s s, want 1209600", got)
		}
	})
}

// The cause is removed, and the operator redrives the dead pool in the AWS console (StartMessageMoveTask).
// Right: what comes back with a reason of the chassis on it begins with a fresh budget: it runs once and is done.
func TestDeadLettersRedrivenBySQSAreGivenUpWithoutARun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical"))
		doomed := task.Define[kit.Payload]("doomed", task.MaxFailures(2), task.Wait(time.Second, task.None))
		const arn = "arn:aws:sqs:us-east-1:000000000000:test-tasks"
		kit.QueueOf(t, sys.Queue, "test-tasks_dead", nil)
		kit.QueueOf(t, sys.Queue, "test-tasks", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + arn + `_dead","maxReceiveCount":1000}`})
		ran, repaired := 0, false
		chassis.Handle(sys.System, doomed, func(context.Context, task.Job[kit.Payload]) error {
			if ran++; !repaired {
				return kit.ErrBroken
			}
			return nil
		})
		id := chassistest.Send(sys, doomed, kit.Payload{})
		kit.Begin(t, sys)
		kit.Pass(time.Hour)
		sys.AssertDead(id, task.ReasonExhausted)
		ran, repaired = 0, true
		move := &sqs.StartMessageMoveTaskInput{SourceArn: aws.String(arn + "_dead"), DestinationArn: aws.String(arn)}
		if _, err := kit.QueueClient(t, sys.Queue).StartMessageMoveTask(t.Context(), move); err != nil {
			t.Fatal(err)
		}
		kit.Pass(time.Hour)
		if ran != 1 {
			t.Errorf("after the redrive it ran %d times, want once; queues %s", ran, kit.Depths(sys.Queue))
		}
		sys.AssertNoneDead()
	})
}

// Thirty dead letters of one FIFO group, 12 of task b and then 18 of task a; all are listed, then those of a sent back.
// Right: 30 and 18; or an error that says that there may be more.
func TestMostDeadLettersOfAFIFOGroupAreNotListed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sys := chassistest.New(t, kit.Quietly("critical", kit.OnPool("test.fifo")))
		a, b := task.Define[kit.Payload]("a", task.MaxFailures(1)), task.Define[kit.Payload]("b", task.MaxFailures(1))
		repaired := false
		fails := func(context.Context, task.Job[kit.Payload]) error {
			if repaired {
				return nil
			}
			return kit.ErrBroken
		}
		chassis.Handle(sys.System, a, fails)
		chassis.Handle(sys.System, b, fails)
		for i := range 30 {
			def := a
			if i < 12 {
				def = b
			}
			chassistest.Send(sys, def, kit.Payload{N: i}, task.Group("customer-1"))
		}
		sys.RunUntilIdle()
		walk := func(each func(*chassis.DeadLetter) error) (seen int, reported error) {
			for d, err := range sys.DeadLetters(t.Context()) {
				if err != nil {
					return seen, err
				}
				seen++
				if err := each(d); err != nil {
					t.Fatal(err)
				}
			}
			return seen, nil
		}
		if seen, err := walk(func(*chassis.DeadLetter) error { return nil }); seen != 30 && err == nil {
			t.Errorf("%d of 30 dead letters are listed, without an error", seen)
		}
		kit.Pass(time.Minute)
		back := 0
		repaired = true
		_, err := walk(func(d *chassis.DeadLetter) error {
			if d.Name != "a" {
				return nil
			}
			back++
			return d.SendBack(t.Context())
		})
		if back != 18 && err == nil {
			t.Errorf("%d of 18 letters were sent back, without an error", back)
		}
	})
}
