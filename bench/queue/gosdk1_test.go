package queue

import (
	"testing"

	"github.com/aws/aws-sdk-go/aws"
	"github.com/aws/aws-sdk-go/aws/awserr"
	"github.com/aws/aws-sdk-go/aws/credentials"
	"github.com/aws/aws-sdk-go/aws/session"
	"github.com/aws/aws-sdk-go/service/sqs"

	"github.com/sambatech/chassis/queue/localsqs"
)

// TestWalkWithTheFirstSDKForGo walks every operation with aws-sdk-go 1.44, which
// speaks the query protocol and checks the checksums of all messages.
func TestWalkWithTheFirstSDKForGo(t *testing.T) {
	srv, err := localsqs.New(localsqs.Credentials("local", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	url, err := srv.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	sess, err := session.NewSession(&aws.Config{Endpoint: &url, Region: aws.String("us-east-1"), MaxRetries: aws.Int(0),
		Credentials: credentials.NewStaticCredentials("local", "secret", "")})
	if err != nil {
		t.Fatal(err)
	}
	c := sqs.New(sess)
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	dead, err := c.CreateQueue(&sqs.CreateQueueInput{QueueName: aws.String("go-dead")})
	check("CreateQueue", err)
	made, err := c.CreateQueue(&sqs.CreateQueueInput{QueueName: aws.String("go-walk"), Tags: aws.StringMap(map[string]string{"a": "1"}),
		Attributes: aws.StringMap(map[string]string{"VisibilityTimeout": "30", "DelaySeconds": "0"})})
	check("CreateQueue", err)
	q := made.QueueUrl
	found, err := c.GetQueueUrl(&sqs.GetQueueUrlInput{QueueName: aws.String("go-walk")})
	check("GetQueueUrl", err)
	listed, err := c.ListQueues(&sqs.ListQueuesInput{QueueNamePrefix: aws.String("go-")})
	check("ListQueues", err)
	if *found.QueueUrl != *q || len(listed.QueueUrls) != 2 {
		t.Errorf("found %s of %v", *found.QueueUrl, listed)
	}
	attrs, err := c.GetQueueAttributes(&sqs.GetQueueAttributesInput{QueueUrl: dead.QueueUrl, AttributeNames: aws.StringSlice([]string{"QueueArn"})})
	check("GetQueueAttributes", err)
	arn := attrs.Attributes["QueueArn"]
	_, err = c.SetQueueAttributes(&sqs.SetQueueAttributesInput{QueueUrl: q, Attributes: aws.StringMap(map[string]string{
		"RedrivePolicy": `{"deadLetterTargetArn":"` + *arn + `","maxReceiveCount":5}`})})
	check("SetQueueAttributes", err)
	sources, err := c.ListDeadLetterSourceQueues(&sqs.ListDeadLetterSourceQueuesInput{QueueUrl: dead.QueueUrl})
	check("ListDeadLetterSourceQueues", err)
	if len(sources.QueueUrls) != 1 || *sources.QueueUrls[0] != *q {
		t.Errorf("sources are %v", sources)
	}
	_, err = c.TagQueue(&sqs.TagQueueInput{QueueUrl: q, Tags: aws.StringMap(map[string]string{"b": "2"})})
	check("TagQueue", err)
	_, err = c.UntagQueue(&sqs.UntagQueueInput{QueueUrl: q, TagKeys: aws.StringSlice([]string{"a"})})
	check("UntagQueue", err)
	tags, err := c.ListQueueTags(&sqs.ListQueueTagsInput{QueueUrl: q})
	check("ListQueueTags", err)
	if len(tags.Tags) != 1 || *tags.Tags["b"] != "2" {
		t.Errorf("tags are %v", tags)
	}
	_, err = c.AddPermission(&sqs.AddPermissionInput{QueueUrl: q, Label: aws.String("l"), AWSAccountIds: aws.StringSlice([]string{"123456789012"}), Actions: aws.StringSlice([]string{"SendMessage"})})
	check("AddPermission", err)
	_, err = c.RemovePermission(&sqs.RemovePermissionInput{QueueUrl: q, Label: aws.String("l")})
	check("RemovePermission", err)

	attributes := map[string]*sqs.MessageAttributeValue{
		"s": {DataType: aws.String("String"), StringValue: aws.String("é <&>\r\n")},
		"b": {DataType: aws.String("Binary"), BinaryValue: []byte{0, 255, 251}},
	}
	_, err = c.SendMessage(&sqs.SendMessageInput{QueueUrl: q, MessageBody: aws.String("one, “quoted”\r\n"), MessageAttributes: attributes})
	check("SendMessage", err)
	sent, err := c.SendMessageBatch(&sqs.SendMessageBatchInput{QueueUrl: q, Entries: []*sqs.SendMessageBatchRequestEntry{
		{Id: aws.String("a"), MessageBody: aws.String("two"), DelaySeconds: aws.Int64(0)},
		{Id: aws.String("b"), MessageBody: aws.String("three"), MessageAttributes: attributes}}})
	check("SendMessageBatch", err)
	if len(sent.Successful) != 2 || len(sent.Failed) != 0 {
		t.Errorf("sent %v", sent)
	}
	got, err := c.ReceiveMessage(&sqs.ReceiveMessageInput{QueueUrl: q, MaxNumberOfMessages: aws.Int64(10), WaitTimeSeconds: aws.Int64(1),
		AttributeNames: aws.StringSlice([]string{"All"}), MessageAttributeNames: aws.StringSlice([]string{"All"})})
	check("ReceiveMessage", err)
	if len(got.Messages) != 3 || *got.Messages[0].Body != "one, “quoted”\r\n" || string(got.Messages[2].MessageAttributes["b"].BinaryValue) != "\x00\xff\xfb" ||
		*got.Messages[0].MessageAttributes["s"].StringValue != "é <&>\r\n" || *got.Messages[0].Attributes["SenderId"] != "local" {
		t.Fatalf("received %v", got)
	}
	_, err = c.ChangeMessageVisibility(&sqs.ChangeMessageVisibilityInput{QueueUrl: q, ReceiptHandle: got.Messages[0].ReceiptHandle, VisibilityTimeout: aws.Int64(60)})
	check("ChangeMessageVisibility", err)
	_, err = c.ChangeMessageVisibilityBatch(&sqs.ChangeMessageVisibilityBatchInput{QueueUrl: q, Entries: []*sqs.ChangeMessageVisibilityBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got.Messages[1].ReceiptHandle, VisibilityTimeout: aws.Int64(0)}}})
	check("ChangeMessageVisibilityBatch", err)
	_, err = c.DeleteMessage(&sqs.DeleteMessageInput{QueueUrl: q, ReceiptHandle: got.Messages[0].ReceiptHandle})
	check("DeleteMessage", err)
	gone, err := c.DeleteMessageBatch(&sqs.DeleteMessageBatchInput{QueueUrl: q, Entries: []*sqs.DeleteMessageBatchRequestEntry{
		{Id: aws.String("a"), ReceiptHandle: got.Messages[2].ReceiptHandle}, {Id: aws.String("b"), ReceiptHandle: aws.String("nonsense")}}})
	check("DeleteMessageBatch", err)
	if len(gone.Successful) != 1 || len(gone.Failed) != 1 || *gone.Failed[0].Code != "ReceiptHandleIsInvalid" || !*gone.Failed[0].SenderFault {
		t.Errorf("deleted %v", gone)
	}
	move, err := c.StartMessageMoveTask(&sqs.StartMessageMoveTaskInput{SourceArn: arn})
	check("StartMessageMoveTask", err)
	moves, err := c.ListMessageMoveTasks(&sqs.ListMessageMoveTasksInput{SourceArn: arn})
	check("ListMessageMoveTasks", err)
	if len(moves.Results) != 1 || *moves.Results[0].StartedTimestamp == 0 {
		t.Errorf("moves are %v", moves)
	}
	if _, err := c.CancelMessageMoveTask(&sqs.CancelMessageMoveTaskInput{TaskHandle: move.TaskHandle}); err != nil {
		wantCode(t, err, sqs.ErrCodeUnsupportedOperation) // it was done already
	}
	_, err = c.PurgeQueue(&sqs.PurgeQueueInput{QueueUrl: q})
	check("PurgeQueue", err)
	_, err = c.DeleteQueue(&sqs.DeleteQueueInput{QueueUrl: q})
	check("DeleteQueue", err)
	_, err = c.GetQueueUrl(&sqs.GetQueueUrlInput{QueueName: aws.String("go-walk")})
	wantCode(t, err, sqs.ErrCodeQueueDoesNotExist)
	if asked := srv.Stats().Requests; len(asked) != 23 {
		t.Errorf("%d operations were walked, want all 23: %v", len(asked), asked)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if refused, ok := err.(awserr.Error); !ok || refused.Code() != code {
		t.Errorf("error is %v, want one with code %s", err, code)
	}
}
