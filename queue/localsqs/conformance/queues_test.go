package conformance_test

import (
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
)

func (s *suite) wantCode(err error, code string) {
	s.t.Helper()
	var api smithy.APIError
	if !errors.As(err, &api) || api.ErrorCode() != code {
		s.t.Errorf("error is %v, want code %s", err, code)
	}
}

func (s *suite) createQueue() {
	attrs := map[string]string{"VisibilityTimeout": "7"}
	url := s.queue("create", attrs)
	s.equal("the URL of a second CreateQueue", *s.queue("create", attrs), *url)
	s.equal("the URL without attributes", *s.queue("create", nil), *url)
	name := s.Prefix + "create"
	_, err := s.Client.CreateQueue(s.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "8"}})
	s.wantCode(err, "QueueAlreadyExists")
	var exists *types.QueueNameExists
	if errors.As(err, &exists) {
		s.equal("message", exists.ErrorMessage(), "A queue already exists with the same name and a different value for attribute VisibilityTimeout")
	}
	got, err := s.Client.GetQueueUrl(s.ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		s.t.Fatal(err)
	}
	s.equal("GetQueueUrl", *got.QueueUrl, *url)
	if !strings.HasSuffix(*url, "/"+name) {
		s.t.Errorf("URL %s does not end in the queue's name", *url)
	}
}

func (s *suite) attributeDefaults() {
	url := s.queue("defaults", nil)
	if attrs := s.attributes(url); len(attrs) != 0 {
		s.t.Errorf("no names asked for: got %v", attrs)
	}
	all := s.attributes(url, "All")
	for name, want := range map[string]string{"VisibilityTimeout": "30", "DelaySeconds": "0", "MaximumMessageSize": "1048576",
		"MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0", "ApproximateNumberOfMessages": "0",
		"ApproximateNumberOfMessagesNotVisible": "0", "ApproximateNumberOfMessagesDelayed": "0", "SqsManagedSseEnabled": "true"} {
		s.equal(name, all[name], want)
	}
	for _, name := range []string{"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp"} {
		if all[name] == "" {
			s.t.Errorf("All has no %s", name)
		}
	}
	if _, there := all["FifoQueue"]; there {
		s.t.Error("a standard queue has FifoQueue")
	}
	fifo := s.attributes(s.fifo("defaults", nil), "All")
	for name, want := range map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "false", "DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"} {
		s.equal(name, fifo[name], want)
	}
}

func (s *suite) setAttributes() {
	url := s.queue("set", nil)
	set := func(attrs map[string]string) {
		s.t.Helper()
		if _, err := s.Client.SetQueueAttributes(s.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: attrs}); err != nil {
			s.t.Fatal(err)
		}
	}
	policy := `{"Version":"2012-10-17","Statement":[]}`
	set(map[string]string{"VisibilityTimeout": "11", "Policy": policy})
	got := s.attributes(url, "VisibilityTimeout", "Policy", "DelaySeconds")
	s.equal("VisibilityTimeout", got["VisibilityTimeout"], "11")
	s.equal("Policy", got["Policy"], policy)
	s.equal("number of attributes", len(got), 3)
	set(map[string]string{"Policy": ""})
	if got := s.attributes(url, "Policy"); len(got) != 0 {
		s.t.Errorf("Policy is not removed: %v", got)
	}
	set(map[string]string{"KmsMasterKeyId": "alias/aws/sqs"})
	got = s.attributes(url, "All")
	s.equal("SqsManagedSseEnabled", got["SqsManagedSseEnabled"], "false")
	s.equal("KmsDataKeyReusePeriodSeconds", got["KmsDataKeyReusePeriodSeconds"], "300")
}

func (s *suite) listQueues() {
	var want []string
	for _, name := range []string{"list-a", "list-b", "list-c"} {
		want = append(want, *s.queue(name, nil))
	}
	out, err := s.Client.ListQueues(s.ctx, &sqs.ListQueuesInput{QueueNamePrefix: aws.String(s.Prefix + "list-")})
	if err != nil {
		s.t.Fatal(err)
	}
	slices.Sort(out.QueueUrls)
	s.equal("the list", out.QueueUrls, want)
	var paged []string
	pages := sqs.NewListQueuesPaginator(s.Client, &sqs.ListQueuesInput{QueueNamePrefix: aws.String(s.Prefix + "list-"), MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		if len(page.QueueUrls) > 2 {
			s.t.Errorf("a page has %d queues, want at most 2", len(page.QueueUrls))
		}
		paged = append(paged, page.QueueUrls...)
	}
	slices.Sort(paged)
	s.equal("the pages", paged, want)
	if out, _ := s.raw("ListQueues", `{"QueueNamePrefix":"`+s.Prefix+`nothing"}`); len(out) != 0 {
		s.t.Errorf("an empty list is not left out: %v", out)
	}
}

func (s *suite) tags() {
	url := s.queue("tags", nil)
	tags := func() map[string]string {
		s.t.Helper()
		out, err := s.Client.ListQueueTags(s.ctx, &sqs.ListQueueTagsInput{QueueUrl: url})
		if err != nil {
			s.t.Fatal(err)
		}
		return out.Tags
	}
	if _, err := s.Client.TagQueue(s.ctx, &sqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"a": "1", "b": ""}}); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.Client.TagQueue(s.ctx, &sqs.TagQueueInput{QueueUrl: url, Tags: map[string]string{"a": "2"}}); err != nil {
		s.t.Fatal(err)
	}
	s.equal("tags", tags(), map[string]string{"a": "2", "b": ""})
	if _, err := s.Client.UntagQueue(s.ctx, &sqs.UntagQueueInput{QueueUrl: url, TagKeys: []string{"a", "none"}}); err != nil {
		s.t.Fatal(err)
	}
	s.equal("tags", tags(), map[string]string{"b": ""})
}

func (s *suite) permissions() {
	url := s.queue("permissions", nil)
	arn := s.attributes(url, "QueueArn")["QueueArn"]
	if _, err := s.Client.AddPermission(s.ctx, &sqs.AddPermissionInput{QueueUrl: url, Label: aws.String("one"),
		AWSAccountIds: []string{"123456789012"}, Actions: []string{"SendMessage"}}); err != nil {
		s.t.Fatal(err)
	}
	s.equal("policy", s.attributes(url, "Policy")["Policy"], `{"Version":"2008-10-17","Id":"`+arn+`/SQSDefaultPolicy","Statement":[{"Sid":"one","Effect":"Allow",`+
		`"Principal":{"AWS":"arn:aws:iam::123456789012:root"},"Action":"SQS:SendMessage","Resource":"`+arn+`"}]}`)
	_, err := s.Client.AddPermission(s.ctx, &sqs.AddPermissionInput{QueueUrl: url, Label: aws.String("one"),
		AWSAccountIds: []string{"123456789012"}, Actions: []string{"SendMessage"}})
	s.wantCode(err, "InvalidParameterValue")
	_, err = s.Client.RemovePermission(s.ctx, &sqs.RemovePermissionInput{QueueUrl: url, Label: aws.String("two")})
	s.wantCode(err, "InvalidParameterValue")
	if _, err := s.Client.RemovePermission(s.ctx, &sqs.RemovePermissionInput{QueueUrl: url, Label: aws.String("one")}); err != nil {
		s.t.Fatal(err)
	}
	if got := s.attributes(url, "Policy"); len(got) != 0 {
		s.t.Errorf("the policy is not removed with its last statement: %v", got)
	}
}

// otherWords declares queues again in other words for the same attributes.
func (s *suite) otherWords() {
	capital := s.queue("capital.fifo", map[string]string{"FifoQueue": "True", "ContentBasedDeduplication": "False"})
	s.equal("the same queue", *s.queue("capital.fifo", map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "false"}), *capital)
	s.equal("attributes", s.attributes(capital, "FifoQueue", "ContentBasedDeduplication"), map[string]string{"FifoQueue": "true", "ContentBasedDeduplication": "false"})

	dead := s.attributes(s.queue("words-dead", nil), "QueueArn")["QueueArn"]
	url := s.queue("words", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `","maxReceiveCount":"3"}`})
	s.equal("the policy", s.attributes(url, "RedrivePolicy")["RedrivePolicy"], `{"deadLetterTargetArn":"`+dead+`","maxReceiveCount":3}`)
	for _, policy := range []string{`{"maxReceiveCount":3,"deadLetterTargetArn":"` + dead + `"}`, `{ "deadLetterTargetArn" : "` + dead + `", "maxReceiveCount" : "3" }`} {
		s.equal("the same queue", *s.queue("words", map[string]string{"RedrivePolicy": policy}), *url)
	}
	name := s.Prefix + "words"
	_, err := s.Client.CreateQueue(s.ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + dead + `","maxReceiveCount":4}`}})
	s.wantCode(err, "QueueAlreadyExists")
}

func (s *suite) set(url *string, attrs map[string]string) {
	s.t.Helper()
	if _, err := s.Client.SetQueueAttributes(s.ctx, &sqs.SetQueueAttributesInput{QueueUrl: url, Attributes: attrs}); err != nil {
		s.t.Errorf("set %v: %v", attrs, err)
	}
}

// encryption ends a key: nothing takes its place, not what new queues have.
func (s *suite) encryption() {
	url := s.queue("encryption", nil)
	s.set(url, map[string]string{"KmsMasterKeyId": "alias/aws/sqs", "KmsDataKeyReusePeriodSeconds": "6000"})
	s.set(url, map[string]string{"KmsMasterKeyId": "", "KmsDataKeyReusePeriodSeconds": "300"})
	s.equal("attributes", s.attributes(url, "KmsMasterKeyId", "KmsDataKeyReusePeriodSeconds", "SqsManagedSseEnabled"), map[string]string{"SqsManagedSseEnabled": "false"})
}

// ownDeadLetters names a queue as its own dead-letter queue, which SQS takes.
func (s *suite) ownDeadLetters() {
	url := s.queue("own-dead", nil)
	s.set(url, map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + s.attributes(url, "QueueArn")["QueueArn"] + `","maxReceiveCount":1}`})
}

func (s *suite) deleteQueue() {
	url := s.queue("delete", nil)
	if _, err := s.Client.DeleteQueue(s.ctx, &sqs.DeleteQueueInput{QueueUrl: url}); err != nil {
		s.t.Fatal(err)
	}
	_, err := s.Client.SendMessage(s.ctx, &sqs.SendMessageInput{QueueUrl: url, MessageBody: aws.String("a")})
	s.wantCode(err, "AWS.SimpleQueueService.NonExistentQueue")
}

func (s *suite) purge() {
	url := s.queue("purge", nil)
	for range 3 {
		s.send(url, "a")
	}
	s.receive(&sqs.ReceiveMessageInput{QueueUrl: url})
	if _, err := s.Client.PurgeQueue(s.ctx, &sqs.PurgeQueueInput{QueueUrl: url}); err != nil {
		s.t.Fatal(err)
	}
	s.poll("purged", func() bool {
		a := s.attributes(url, "All")
		return a["ApproximateNumberOfMessages"] == "0" && a["ApproximateNumberOfMessagesNotVisible"] == "0"
	})
}
