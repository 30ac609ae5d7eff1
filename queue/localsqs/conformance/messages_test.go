package conformance_test

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

func (s *suite) roundTrip() {
	url := s.queue("round", nil)
	body := "tab\t, line\n, \"quotes\", \\, <&>, é, 漢, \U0001F600"
	sent := s.send(url, body)
	m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url})
	s.equal("body", *m.Body, body)
	s.equal("MessageId", *m.MessageId, *sent.MessageId)
	s.equal("MD5OfBody", *m.MD5OfBody, *sent.MD5OfMessageBody)
	if m.Attributes != nil || m.MessageAttributes != nil || m.MD5OfMessageAttributes != nil {
		s.t.Errorf("nothing asked, got %v %v", m.Attributes, m.MessageAttributes)
	}
	a := s.attributes(url, "All")
	s.equal("visible", a["ApproximateNumberOfMessages"], "0")
	s.equal("not visible", a["ApproximateNumberOfMessagesNotVisible"], "1")
	s.delete(url, m)
	s.equal("not visible", s.attributes(url, "All")["ApproximateNumberOfMessagesNotVisible"], "0")
	if answer, _ := s.raw("ReceiveMessage", `{"QueueUrl":"`+*url+`"}`); len(answer) != 0 {
		s.t.Errorf("the answer of a receive without messages is %v, want {}", answer)
	}
}

func text(v string) types.MessageAttributeValue {
	return types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &v}
}

// messageAttributes checks digests that AWS has given.
func (s *suite) messageAttributes() {
	url := s.queue("digests", nil)
	out := s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("Test Message"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"UserId": {DataType: aws.String("Number.bigint"), StringValue: aws.String("1234567890123456789012")}},
		MessageSystemAttributes: map[string]types.MessageSystemAttributeValue{
			"AWSTraceHeader": {DataType: aws.String("String"), StringValue: aws.String("some-trace-id")}}})
	s.equal("MD5OfMessageAttributes", *out.MD5OfMessageAttributes, "797ab158d73dcb5242dedc4412c8e855")
	s.equal("MD5OfMessageBody", *out.MD5OfMessageBody, "d1d4180b7e411c4be86b00fb2ee103eb")
	s.equal("MD5OfMessageSystemAttributes", *out.MD5OfMessageSystemAttributes, "fdce4f2818803f2f73becc09a54792c0")
	m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"All"}})
	s.equal("MD5OfMessageAttributes", *m.MD5OfMessageAttributes, "797ab158d73dcb5242dedc4412c8e855")
	s.equal("type", *m.MessageAttributes["UserId"].DataType, "Number.bigint")
}

func (s *suite) selection() {
	url := s.queue("selection", map[string]string{"VisibilityTimeout": "0"})
	s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("message from SDK"),
		MessageAttributes: map[string]types.MessageAttributeValue{
			"Dummy1Name": text("dummy 1 value"), "Dummy2Name": text("dummy 2 value"), "OtherName": text("other value"),
			"a.b": text("x"), "a.c": text("y"),
			"Bytes": {DataType: aws.String("Binary.raw"), BinaryValue: []byte{0, 1, 0xff}}}})
	for _, c := range []struct {
		names []string
		want  int
	}{{nil, 0}, {[]string{"All"}, 6}, {[]string{".*"}, 6}, {[]string{"*"}, 6}, {[]string{"Dummy.*"}, 2}, {[]string{"Dummy*"}, 0}, {[]string{"OtherName", "none"}, 1}, {[]string{"a.*"}, 2}, {[]string{"a.b", "Bytes"}, 2}} {
		m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: c.names})
		s.equal(fmt.Sprintf("number of attributes for %v", c.names), len(m.MessageAttributes), c.want)
		if (m.MD5OfMessageAttributes != nil) != (c.want > 0) {
			s.t.Errorf("for %v MD5OfMessageAttributes is %v", c.names, m.MD5OfMessageAttributes)
		}
	}
	m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"Bytes"}})
	s.equal("bytes", m.MessageAttributes["Bytes"].BinaryValue, []byte{0, 1, 0xff})
}

func (s *suite) systemAttributes() {
	url := s.queue("system", map[string]string{"VisibilityTimeout": "0"})
	before := time.Now().Add(-5 * time.Second).UnixMilli()
	s.send(url, "a")
	for i := 1; i <= 3; i++ {
		m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: []types.MessageSystemAttributeName{"All"}})
		s.equal("ApproximateReceiveCount", m.Attributes["ApproximateReceiveCount"], i)
		for _, name := range []string{"SentTimestamp", "ApproximateFirstReceiveTimestamp"} {
			if at, err := strconv.ParseInt(m.Attributes[name], 10, 64); err != nil || at < before || at > before+60_000 {
				s.t.Errorf("%s is %s, want about %d", name, m.Attributes[name], before)
			}
		}
		if m.Attributes["SenderId"] == "" {
			s.t.Error("there is no SenderId")
		}
		for _, name := range []string{"SequenceNumber", "MessageGroupId", "MessageDeduplicationId"} {
			if v, there := m.Attributes[name]; there {
				s.t.Errorf("a standard queue's message has %s %s", name, v)
			}
		}
	}
	answer, no := s.raw("ReceiveMessage", `{"QueueUrl":"`+*url+`","AttributeNames":["SentTimestamp"]}`)
	if no != nil {
		s.t.Fatalf("refused: %v", no)
	}
	attrs := answer["Messages"].([]any)[0].(map[string]any)["Attributes"].(map[string]any)
	s.equal("number of attributes by AttributeNames", len(attrs), 1)
}

func (s *suite) batches() {
	url := s.queue("batches", map[string]string{"MaximumMessageSize": "1024"})
	long := strings.Repeat("a", 1025)
	out, err := s.Client.SendMessageBatch(s.ctx, &sqs.SendMessageBatchInput{QueueUrl: url, Entries: []types.SendMessageBatchRequestEntry{
		{Id: aws.String("good"), MessageBody: aws.String("a")},
		{Id: aws.String("long"), MessageBody: &long},
		{Id: aws.String("late"), MessageBody: aws.String("b"), DelaySeconds: 901},
		{Id: aws.String("empty"), MessageBody: aws.String("")},
		{Id: aws.String("good-2"), MessageBody: aws.String("c")},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	s.equal("number of successes", len(out.Successful), 2)
	failed := map[string]string{}
	for _, f := range out.Failed {
		failed[*f.Id] = *f.Code
		if *f.Id == "long" {
			s.equal("the text of what is too long", *f.Message, "One or more parameters cannot be validated. Reason: Message must be shorter than 1024 bytes.")
		}
		if !f.SenderFault {
			s.t.Errorf("SenderFault of %s is false", *f.Id)
		}
	}
	s.equal("failures", failed, map[string]string{"long": "InvalidParameterValue", "late": "InvalidParameterValue", "empty": "MissingParameter"})
	list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, MaxNumberOfMessages: 10})
	s.equal("bodies", bodies(list), []string{"a", "c"})
	changed, err := s.Client.ChangeMessageVisibilityBatch(s.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url, Entries: []types.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: list[0].ReceiptHandle, VisibilityTimeout: 100},
		{Id: aws.String("b"), ReceiptHandle: aws.String("nonsense"), VisibilityTimeout: 100},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(changed.Successful) != 1 || len(changed.Failed) != 1 || *changed.Failed[0].Code != "ReceiptHandleIsInvalid" {
		s.t.Errorf("visibility batch: %v %v", changed.Successful, changed.Failed)
	}
	gone, err := s.Client.DeleteMessageBatch(s.ctx, &sqs.DeleteMessageBatchInput{QueueUrl: url, Entries: []types.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: list[0].ReceiptHandle},
		{Id: aws.String("b"), ReceiptHandle: aws.String("nonsense")},
		{Id: aws.String("c"), ReceiptHandle: list[1].ReceiptHandle},
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(gone.Successful) != 2 || len(gone.Failed) != 1 || *gone.Failed[0].Code != "ReceiptHandleIsInvalid" {
		s.t.Errorf("delete batch: %v %v", gone.Successful, gone.Failed)
	}
}

func (s *suite) delays() {
	url := s.queue("delays", map[string]string{"DelaySeconds": "1"})
	began := time.Now()
	s.send(url, "by the queue")
	s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("by itself"), DelaySeconds: 2})
	if list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url}); len(list) != 0 {
		s.t.Errorf("received before the delay was over: %v", bodies(list))
	}
	s.equal("delayed", s.attributes(url, "All")["ApproximateNumberOfMessagesDelayed"], "2")
	for i, want := range []string{"by the queue", "by itself"} {
		m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 10})
		s.equal("body", *m.Body, want)
		if took, least := time.Since(began), time.Duration(i+1)*time.Second; took < least-50*time.Millisecond || took > least+5*time.Second {
			s.t.Errorf("received after %v, want %v", took, least)
		}
	}
}

func (s *suite) visibility() {
	url := s.queue("visibility", nil)
	s.send(url, "a")
	began := time.Now()
	s.one(&sqs.ReceiveMessageInput{QueueUrl: url, VisibilityTimeout: 1})
	m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 10, VisibilityTimeout: 30})
	if took := time.Since(began); took < 950*time.Millisecond || took > 5*time.Second {
		s.t.Errorf("received again after %v, want 1s", took)
	}
	change := func(seconds int32) error {
		_, err := s.Client.ChangeMessageVisibility(s.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: seconds})
		return err
	}
	s.wantCode(change(43200), "InvalidParameterValue") // 12 hours from the receive are over before 12 hours from now
	if err := change(0); err != nil {
		s.t.Fatal(err)
	}
	if err := change(10); err != nil { // a late heartbeat: taken, without an effect
		s.t.Errorf("a heartbeat after the time-out: %v", err)
	}
	older := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, VisibilityTimeout: 300})
	if err := change(0); err != nil { // by the handle of the receive before
		s.t.Errorf("by an older handle: %v", err)
	}
	last := s.one(&sqs.ReceiveMessageInput{QueueUrl: url})
	if *older.ReceiptHandle == *last.ReceiptHandle {
		s.t.Error("two receives gave the same handle")
	}
}

func (s *suite) longPoll() {
	url := s.queue("poll", nil)
	began := time.Now()
	got := make(chan []types.Message)
	go func() {
		out, err := s.Client.ReceiveMessage(s.ctx, &sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 20})
		if err != nil {
			s.t.Error(err)
			close(got)
			return
		}
		got <- out.Messages
	}()
	s.send(url, "a")
	if list := <-got; len(list) != 1 || time.Since(began) > 5*time.Second {
		s.t.Errorf("got %v after %v", bodies(list), time.Since(began))
	}
	began = time.Now()
	if list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url, WaitTimeSeconds: 1}); len(list) != 0 || time.Since(began) < 950*time.Millisecond {
		s.t.Errorf("an empty queue gave %v after %v, want nothing after 1s", bodies(list), time.Since(began))
	}
}

func (s *suite) receipts() {
	url := s.queue("receipts", map[string]string{"VisibilityTimeout": "0"})
	s.send(url, "a")
	first := s.one(&sqs.ReceiveMessageInput{QueueUrl: url})
	second := s.one(&sqs.ReceiveMessageInput{QueueUrl: url})
	if *first.ReceiptHandle == *second.ReceiptHandle {
		s.t.Error("two receives gave the same handle")
	}
	s.delete(url, first)
	s.delete(url, first)
	if list := s.receive(&sqs.ReceiveMessageInput{QueueUrl: url}); len(list) != 0 {
		s.t.Error("an older handle did not delete the message")
	}
	_, err := s.Client.ChangeMessageVisibility(s.ctx, &sqs.ChangeMessageVisibilityInput{QueueUrl: url, ReceiptHandle: second.ReceiptHandle, VisibilityTimeout: 5})
	s.wantCode(err, "InvalidParameterValue")
	out, err := s.Client.ChangeMessageVisibilityBatch(s.ctx, &sqs.ChangeMessageVisibilityBatchInput{QueueUrl: url,
		Entries: []types.ChangeMessageVisibilityBatchRequestEntry{{Id: aws.String("a"), ReceiptHandle: second.ReceiptHandle, VisibilityTimeout: 20}}})
	if err != nil || len(out.Failed) != 1 {
		s.t.Fatalf("a batch with a deleted message: %v, %+v", err, out)
	}
	s.equal("its code", *out.Failed[0].Code, "ReceiptHandleIsInvalid")
	s.equal("its text", strings.TrimSuffix(*out.Failed[0].Message, "."), "Message does not exist or is not available for visibility timeout change")
}

func (s *suite) names() {
	url := s.queue("names", nil)
	s.sendInput(&sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("m"), MessageAttributes: map[string]types.MessageAttributeValue{"attr.1øßä": text("x")}})
	m := s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageAttributeNames: []string{"attr.*"}})
	s.equal("number of attributes", len(m.MessageAttributes), 1)
}

func (s *suite) traceHeader() {
	url := s.queue("trace", nil)
	const trace = "Root=1-3152b799-8954dae64eda91bc9a23a7e8;Parent=7fa8c0f79203be72;Sampled=1"
	all := []types.MessageSystemAttributeName{"All"}
	if _, no := s.raw("SendMessage", `{"QueueUrl":"`+*url+`","MessageBody":"header"}`, "X-Amzn-Trace-Id", trace); no != nil {
		s.t.Fatalf("refused: %+v", no)
	}
	s.equal("AWSTraceHeader", s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: all}).Attributes["AWSTraceHeader"], trace)
	if _, no := s.raw("SendMessage", `{"QueueUrl":"`+*url+`","MessageBody":"both","MessageSystemAttributes":{"AWSTraceHeader":{"DataType":"String","StringValue":"Root=own"}}}`, "X-Amzn-Trace-Id", trace); no != nil {
		s.t.Fatalf("refused: %+v", no)
	}
	s.equal("AWSTraceHeader of a message with its own", s.one(&sqs.ReceiveMessageInput{QueueUrl: url, MessageSystemAttributeNames: all}).Attributes["AWSTraceHeader"], "Root=own")
}
