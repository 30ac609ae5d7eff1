package conformance_test

import (
	"encoding/base64"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (s *suite) deadLetters() {
	dead := s.queue("dead", nil)
	deadARN := s.attributes(dead, "QueueArn")["QueueArn"]
	policy := `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":2}`
	url := s.queue("source", map[string]string{"VisibilityTimeout": "0", "RedrivePolicy": policy})
	sourceARN := s.attributes(url, "QueueArn")["QueueArn"]
	sources, err := s.Client.ListDeadLetterSourceQueues(s.ctx, &sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead})
	if err != nil {
		s.t.Fatal(err)
	}
	s.equal("sources", sources.QueueUrls, []string{*url})

	sent := s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("poison"), MessageAttributes: map[string]types.MessageAttributeValue{"a": text("v")}})
	all := []types.MessageSystemAttributeName{"All"}
	var last types.Message
	for range 2 {
		last = s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: all})
	}
	if list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url}); len(list) != 0 {
		s.t.Fatalf("received a third time: %v", bodies(list))
	}
	m := s.one(&sqs.ReceiveMessageInput{QueueUrl: dead, WaitTimeSeconds: 5, VisibilityTimeout: 0, MessageSystemAttributeNames: all, MessageAttributeNames: []string{"All"}})
	s.equal("MessageId", *m.MessageId, *sent.MessageId)
	s.equal("body", *m.Body, "poison")
	s.equal("attribute", *m.MessageAttributes["a"].StringValue, "v")
	s.equal("SentTimestamp", m.Attributes["SentTimestamp"], last.Attributes["SentTimestamp"])
	if n, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]); err != nil || n < 3 {
		s.t.Errorf("ApproximateReceiveCount is %q, want the receives of both queues, 3", m.Attributes["ApproximateReceiveCount"])
	}
	s.equal("DeadLetterQueueSourceArn", m.Attributes["DeadLetterQueueSourceArn"], sourceARN)
	if _, err := s.Client.ChangeMessageVisibility(s.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: dead, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		s.t.Fatal(err)
	}
	s.redrive(url, dead, deadARN, sourceARN)
}

// redrive moves the one message of dead back to url, then slowly some more to
// see a task run, refuse another and be cancelled.
func (s *suite) redrive(url, dead *string, deadARN, sourceARN string) {
	start, err := s.Client.StartMessageMoveTask(s.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &deadARN})
	if err != nil {
		s.t.Fatal(err)
	}
	if start.TaskHandle == nil {
		s.t.Fatal("there is no TaskHandle")
	}
	task := func() types.ListMessageMoveTasksResultEntry {
		s.t.Helper()
		out, err := s.Client.ListMessageMoveTasks(s.ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &deadARN})
		if err != nil {
			s.t.Fatal(err)
		}
		if len(out.Results) != 1 {
			s.t.Fatalf("listed %d tasks, want 1 by default", len(out.Results))
		}
		return out.Results[0]
	}
	s.poll("the move", func() bool { return *task().Status == "COMPLETED" })
	s.equal("moved", task().ApproximateNumberOfMessagesMoved, 1)
	back := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 5, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	s.equal("body", *back.Body, "poison")
	s.equal("ApproximateReceiveCount of what was moved back", back.Attributes["ApproximateReceiveCount"], "1")
	_, err = s.Client.CancelMessageMoveTask(s.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: start.TaskHandle})
	s.wantCode(err, "AWS.SimpleQueueService.UnsupportedOperation")

	for range 5 {
		s.send(dead, "slow")
	}
	slow := &sqs.StartMessageMoveTaskInput{SourceArn: &deadARN, DestinationArn: &sourceARN, MaxNumberOfMessagesPerSecond: aws.Int32(1)}
	if start, err = s.Client.StartMessageMoveTask(s.ctx, slow); err != nil {
		s.t.Fatal(err)
	}
	_, err = s.Client.StartMessageMoveTask(s.ctx, slow)
	s.wantCode(err, "InvalidParameterValue")
	none := base64.StdEncoding.EncodeToString([]byte(`{"taskId":"11111111-2222-3333-4444-555555555555","sourceArn":"` + deadARN + `"}`))
	if _, no := s.raw("CancelMessageMoveTask", `{"TaskHandle":"`+none+`"}`); no == nil || no.Status != 404 || !strings.HasSuffix(no.Type, "#ResourceNotFoundException") || no.Message != "Task does not exist." {
		s.t.Errorf("the end of a task that is not there: %+v", no)
	}
	s.poll("a message", func() bool { return task().ApproximateNumberOfMessagesMoved >= 1 })
	running := task()
	s.equal("status", *running.Status, "RUNNING")
	s.equal("rate", *running.MaxNumberOfMessagesPerSecond, 1)
	s.equal("destination", *running.DestinationArn, sourceARN)
	if _, err := s.Client.CancelMessageMoveTask(s.ctx, &sqs.CancelMessageMoveTaskInput{TaskHandle: start.TaskHandle}); err != nil {
		s.t.Fatal(err)
	}
	s.poll("the cancellation", func() bool { return *task().Status == "CANCELLED" })
	if moved := task().ApproximateNumberOfMessagesMoved; moved > 4 {
		s.t.Errorf("%d of 5 messages moved at 1 a second before the cancellation", moved)
	}
	// a message that was sent to the dead-letter queue itself has nowhere to go back to
	if _, err = s.Client.StartMessageMoveTask(s.ctx, &sqs.StartMessageMoveTaskInput{SourceArn: &deadARN}); err != nil {
		s.t.Fatal(err)
	}
	s.poll("the failure", func() bool { return *task().Status == "FAILED" })
	s.equal("reason", *task().FailureReason, "CouldNotDetermineMessageSource")
}

func (s *suite) redriveAllow() {
	deny := s.queue("deny", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`})
	arn := s.attributes(deny, "QueueArn")["QueueArn"]
	url := s.queue("denied", nil)
	set := func(url *string, name, value string) error {
		_, err := s.Client.SetQueueAttributes(s.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: map[string]string{name: value}})
		return err
	}
	policy := `{"deadLetterTargetArn":"` + arn + `","maxReceiveCount":2}`
	s.wantCode(set(url, "RedrivePolicy", policy), "InvalidParameterValue")
	own := s.attributes(url, "QueueArn")["QueueArn"]
	if err := set(deny, "RedriveAllowPolicy", `{"redrivePermission":"byQueue","sourceQueueArns":["`+own+`"]}`); err != nil {
		s.t.Fatal(err)
	}
	if err := set(url, "RedrivePolicy", policy); err != nil {
		s.t.Errorf("a queue that is allowed by name: %v", err)
	}
}
