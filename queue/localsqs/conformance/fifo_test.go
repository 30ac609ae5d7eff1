package conformance_test

import (
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (s *suite) sendFIFO(url *string, group, dedup, body string) *sqs.SendMessageOutput {
	s.t.Helper()
	in := &sqs.SendMessageInput{QueueUrl: url, MessageBody: &body, MessageGroupId: &group}
	if dedup != "" {
		in.MessageDeduplicationId = &dedup
	}
	return s.sendInput(in)
}

func (s *suite) fifoOrder() {
	url := s.fifo("order", nil)
	last := ""
	for i, group := range []string{"x", "x", "y", "x", "y"} {
		out := s.sendFIFO(url, group, strconv.Itoa(i), fmt.Sprint(group, i))
		if len(*out.SequenceNumber) != 20 || *out.SequenceNumber <= last {
			s.t.Errorf("sequence number is %s after %s, want 20 rising digits", *out.SequenceNumber, last)
		}
		last = *out.SequenceNumber
	}
	receive := func(most int32) []types.Message {
		s.t.Helper()
		return s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: most, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
	}
	x := receive(2)
	s.equal("the first two", bodies(x), []string{"x0", "x1"})
	s.equal("group", x[0].Attributes["MessageGroupId"], "x")
	s.equal("deduplication id", x[0].Attributes["MessageDeduplicationId"], "0")
	y := receive(10)
	s.equal("while x is locked", bodies(y), []string{"y2", "y4"})
	if list := receive(10); len(list) != 0 {
		s.t.Errorf("all groups are locked, got %v", bodies(list))
	}
	s.delete(url, x[0])
	if list := receive(10); len(list) != 0 {
		s.t.Errorf("x has a message in flight, got %v", bodies(list))
	}
	if _, err := s.Client.ChangeMessageVisibility(s.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: x[1].ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		s.t.Fatal(err)
	}
	again := receive(10)
	s.equal("x after its second came back", bodies(again), []string{"x1", "x3"})
	_, err := s.Client.DeleteMessage(s.ctx, &sqs.DeleteMessageInput{QueueUrl: url, ReceiptHandle: x[1].ReceiptHandle})
	s.wantCode(err, "InvalidParameterValue")
}

func (s *suite) fifoDedup() {
	url := s.fifo("dedup", map[string]string{"ContentBasedDeduplication": "true"})
	first := s.sendFIFO(url, "g", "", "same")
	second := s.sendFIFO(url, "h", "", "same")
	s.equal("MessageId of the duplicate", *second.MessageId, *first.MessageId)
	s.equal("SequenceNumber of the duplicate", *second.SequenceNumber, *first.SequenceNumber)
	s.sendFIFO(url, "h", "id", "other")
	s.sendFIFO(url, "h", "id", "another")
	list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
	s.equal("received", bodies(list), []string{"same", "other"})

	url = s.fifo("dedup-group", map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"})
	s.sendFIFO(url, "g", "id", "a")
	s.sendFIFO(url, "g", "id", "b")
	s.sendFIFO(url, "h", "id", "c")
	list = s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
	s.equal("received", bodies(list), []string{"a", "c"})
}

func (s *suite) fifoAttempts() {
	url := s.fifo("attempts", nil)
	for i := range 3 {
		s.sendFIFO(url, "g", strconv.Itoa(i), strconv.Itoa(i))
	}
	attempt := &sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 2, ReceiveRequestAttemptId: aws.String("attempt")}
	first := s.receive(attempt)
	again := s.receive(attempt)
	s.equal("repeated", bodies(again), bodies(first))
	s.equal("number of messages", len(first), 2)
	s.delete(url, again[0])
	_, err := s.Client.ReceiveMessage(s.ctx, attempt)
	s.wantCode(err, "InvalidParameterValue")
}

// fifoBatch sends a batch that lacks something that all entries must have.
func (s *suite) fifoBatch() {
	url := s.fifo("batch", nil)
	good := `{"Id":"a","MessageBody":"a","MessageGroupId":"g","MessageDeduplicationId":"a"}`
	for bad, text := range map[string]string{
		`{"Id":"b","MessageBody":"b","MessageGroupId":"g"}`:         "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly",
		`{"Id":"b","MessageBody":"b","MessageDeduplicationId":"b"}`: "The request must contain the parameter MessageGroupId.",
	} {
		_, no := s.raw("SendMessageBatch", `{"QueueUrl":"`+*url+`","Entries":[`+good+`,`+bad+`]}`)
		if no == nil || no.Status != 400 || no.Code != "InvalidParameterValue" || no.Message != text {
			s.t.Errorf("%s: %+v, want 400 InvalidParameterValue %s", bad, no, text)
		}
	}
	if list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}); len(list) != 0 {
		s.t.Errorf("sent nevertheless: %v", bodies(list))
	}
}

// fifoGiveBack gives the first of two messages in flight back: the second hides
// what comes after it, not what comes before.
func (s *suite) fifoGiveBack() {
	url := s.fifo("give-back", nil)
	for _, body := range []string{"m1", "m2", "m3"} {
		s.sendFIFO(url, "g", body, body)
	}
	both := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 2})
	s.equal("the first two", bodies(both), []string{"m1", "m2"})
	if _, err := s.Client.ChangeMessageVisibility(s.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: both[0].ReceiptHandle, VisibilityTimeout: 0}); err != nil {
		s.t.Fatal(err)
	}
	again := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
	s.equal("what was given back", bodies(again), []string{"m1"})
	s.delete(url, again[0])
	if list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url}); len(list) != 0 {
		s.t.Errorf("m2 is in flight, received %v", bodies(list))
	}
	s.delete(url, both[1])
	s.equal("at last", bodies(s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})), []string{"m3"})
}

func (s *suite) fifoPurge() {
	url := s.fifo("purge", nil)
	s.sendFIFO(url, "g", "id", "before")
	if _, err := s.Client.PurgeQueue(s.ctx, &sqs.PurgeQueueInput{QueueUrl: url}); err != nil {
		s.t.Fatal(err)
	}
	s.poll("purged", func() bool { return s.attributes(url, "All")["ApproximateNumberOfMessages"] == "0" })
	s.sendFIFO(url, "g", "id", "after")
	s.equal("received", bodies(s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})), []string{"after"})
}

// fifoScope changes the scope after the creation, which shows and has no effect.
func (s *suite) fifoScope() {
	url := s.fifo("scope", map[string]string{"DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId"})
	s.set(url, map[string]string{"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"})
	s.equal("the attribute", s.attributes(url, "DeduplicationScope")["DeduplicationScope"], "queue")
	s.sendFIFO(url, "g", "id", "a")
	s.sendFIFO(url, "h", "id", "b")
	list := append(s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10}), s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})...)
	s.equal("received", bodies(list), []string{"a", "b"})
}

// repeatedReceive asks twice as one invocation of an SDK. A FIFO queue has
// nothing to give to the second otherwise: the group is locked.
func (s *suite) repeatedReceive() {
	standard, fifo := s.queue("repeated", nil), s.fifo("repeated", nil)
	s.send(standard, "m")
	s.sendFIFO(fifo, "g", "m", "m")
	for _, c := range []struct {
		name string
		url  *string
		want []int
	}{{"standard", standard, []int{1, 0}}, {"FIFO", fifo, []int{1, 1}}} {
		for i, want := range c.want {
			answer, no := s.raw("ReceiveMessage", `{"QueueUrl":"`+*c.url+`"}`, "Amz-Sdk-Invocation-Id", "11111111-2222-3333-4444-555555555555", "Amz-Sdk-Request", fmt.Sprintf("attempt=%d; max=3", i+1))
			messages, _ := answer["Messages"].([]any)
			if len(messages) != want || no != nil {
				s.t.Errorf("%s queue, attempt %d: %d messages, refused %v; want %d", c.name, i+1, len(messages), no, want)
			}
		}
	}
}

func (s *suite) fair() {
	url := s.queue("fair", nil)
	for i := range 20 {
		s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String(fmt.Sprint("noisy", i)), MessageGroupId: aws.String("noisy")})
	}
	s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("quiet"), MessageGroupId: aws.String("quiet")})
	list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"MessageGroupId"}})
	for _, m := range list {
		if m.Attributes["MessageGroupId"] == "quiet" {
			return
		}
	}
	s.t.Errorf("the quiet group is starved: %v", bodies(list))
}
