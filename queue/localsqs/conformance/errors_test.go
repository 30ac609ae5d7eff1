package conformance_test

import (
	"strings"
)

const legacy = "AWS.SimpleQueueService."

// refusals are what is refused, and how. In body and message, $Q is the URL of
// a standard queue, $F of a FIFO queue, $N a queue name not in use, and $A and
// $B the ARNs of the first and of a dead-letter queue.
var refusals = []struct {
	op, body      string
	status        int
	code, message string // message "": any
}{
	{"SendMessage", `{"QueueUrl":"$Qx","MessageBody":"a"}`, 400, legacy + "NonExistentQueue", "The specified queue does not exist."},
	{"GetQueueUrl", `{"QueueName":"$N"}`, 400, legacy + "NonExistentQueue", "The specified queue does not exist."},
	{"DeleteQueue", `{"QueueUrl":"$Qx"}`, 400, legacy + "NonExistentQueue", ""},
	{"PurgeQueue", `{"QueueUrl":"$Qx"}`, 400, legacy + "NonExistentQueue", ""},
	{"GetQueueAttributes", `{"QueueUrl":"$Qx"}`, 400, legacy + "NonExistentQueue", ""},
	{"ListQueueTags", `{"QueueUrl":"$Qx"}`, 400, legacy + "NonExistentQueue", ""},
	{"Nonsense", `{}`, 400, legacy + "UnsupportedOperation", ""},
	{"SendMessage", `{"QueueUrl":17}`, 400, "", ""},
	{"SendMessage", `{"QueueUrl"`, 400, "", ""},
	{"SendMessage", `[]`, 400, "", ""},

	{"CreateQueue", `{}`, 400, "MissingParameter", "The request must contain the parameter QueueName."},
	{"CreateQueue", `{"QueueName":"a.b"}`, 400, "InvalidParameterValue", "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"},
	{"CreateQueue", `{"QueueName":"` + strings.Repeat("a", 81) + `"}`, 400, "InvalidParameterValue", ""},
	{"CreateQueue", `{"QueueName":"$N.fifo"}`, 400, "InvalidParameterValue", ""},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"FifoQueue":"true"}}`, 400, "InvalidParameterValue", "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"Colour":"red"}}`, 400, "InvalidAttributeName", "Unknown Attribute Colour."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"ContentBasedDeduplication":"true"}}`, 400, "InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"VisibilityTimeout":"43201"}}`, 400, "InvalidAttributeValue", "Invalid value for the parameter VisibilityTimeout."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"DelaySeconds":"901"}}`, 400, "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"MaximumMessageSize":"1023"}}`, 400, "InvalidAttributeValue", "Invalid value for the parameter MaximumMessageSize."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"MessageRetentionPeriod":"59"}}`, 400, "InvalidAttributeValue", "Invalid value for the parameter MessageRetentionPeriod."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"ReceiveMessageWaitTimeSeconds":"21"}}`, 400, "InvalidAttributeValue", "Invalid value for the parameter ReceiveMessageWaitTimeSeconds."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"DelaySeconds":" 6"}}`, 400, "InvalidAttributeValue", ""},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"RedrivePolicy":"{"}}`, 400, "InvalidParameterValue", ""},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"RedrivePolicy":"{\"maxReceiveCount\":3}"}}`, 400, "InvalidParameterValue", ""},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"$Bx\",\"maxReceiveCount\":3}"}}`, 400, "InvalidParameterValue", `Value {"deadLetterTargetArn":"$Bx","maxReceiveCount":3} for parameter RedrivePolicy is invalid. Reason: Dead letter target does not exist.`},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"RedrivePolicy":"{\"deadLetterTargetArn\":\"$B\",\"maxReceiveCount\":1001}"}}`, 400, "InvalidParameterValue", `Value {"deadLetterTargetArn":"$B","maxReceiveCount":1001} for parameter RedrivePolicy is invalid. Reason: Invalid value for maxReceiveCount: 1001, valid values are from 1 to 1000 both inclusive.`},
	{"SetQueueAttributes", `{"QueueUrl":"$Q"}`, 400, "MissingParameter", "The request must contain the parameter Attribute.Name."},
	{"SetQueueAttributes", `{"QueueUrl":"$Q","Attributes":{"QueueArn":"a"}}`, 400, "InvalidAttributeName", "Unknown Attribute QueueArn."},
	{"SetQueueAttributes", `{"QueueUrl":"$F","Attributes":{"FifoThroughputLimit":"perMessageGroupId"}}`, 400, "InvalidAttributeValue", "The perMessageGroupId value is allowed only when the value for DeduplicationScope is messageGroup"},
	{"SetQueueAttributes", `{"QueueUrl":"$Q","Attributes":{"Policy":"not JSON"}}`, 400, "InvalidAttributeValue", ""},
	{"SetQueueAttributes", `{"QueueUrl":"$F","Attributes":{"FifoQueue":"false"}}`, 400, "InvalidAttributeValue", "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported."},
	{"SetQueueAttributes", `{"QueueUrl":"$Q","Attributes":{"KmsMasterKeyId":"key","SqsManagedSseEnabled":"true"}}`, 400, "InvalidAttributeName", "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"DeduplicationScope":"queue"}}`, 400, "InvalidAttributeName", "You can specify the DeduplicationScope only when FifoQueue is set to true."},
	{"CreateQueue", `{"QueueName":"$N","Attributes":{"FifoThroughputLimit":"perQueue"}}`, 400, "InvalidAttributeName", "You can specify the FifoThroughputLimit only when FifoQueue is set to true."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"x","MessageAttributes":{"a":{"DataType":"String","StringValue":"Invalid-\b"}}}`, 400, "InvalidParameterValue", ""},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[{"Id":"","MessageBody":"x"}]}`, 400, legacy + "InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."},
	{"GetQueueAttributes", `{"QueueUrl":"$Q","AttributeNames":["Colour"]}`, 400, "InvalidAttributeName", "Unknown Attribute Colour."},
	{"ListQueues", `{"MaxResults":1001}`, 400, "InvalidParameterValue", "Value for parameter MaxResults is invalid. Reason: MaxResults must be an integer between 1 and 1000."},
	{"ListQueues", `{"NextToken":"*"}`, 400, "InvalidParameterValue", "Invalid or expired next token."},
	{"TagQueue", `{"QueueUrl":"$Q"}`, 400, "MissingParameter", ""},
	{"UntagQueue", `{"QueueUrl":"$Q"}`, 400, "MissingParameter", ""},
	{"AddPermission", `{"QueueUrl":"$Q","AWSAccountIds":["123456789012"],"Actions":["SendMessage"]}`, 400, "MissingParameter", "The request must contain the parameter Label."},
	{"AddPermission", `{"QueueUrl":"$Q","Label":"l","AWSAccountIds":["123456789012"],"Actions":["CreateQueue"]}`, 400, "InvalidParameterValue", "Value SQS:CreateQueue for parameter ActionName is invalid. Reason: Only the queue owner is allowed to invoke this action."},
	{"AddPermission", `{"QueueUrl":"$Q","Label":"l","AWSAccountIds":["123456789012"],"Actions":["SendMessage","ReceiveMessage","DeleteMessage","ChangeMessageVisibility","GetQueueAttributes","GetQueueUrl","PurgeQueue","*"]}`, 403, "OverLimit", "8 Actions were found, maximum allowed is 7."},
	{"RemovePermission", `{"QueueUrl":"$Q","Label":"nowhere"}`, 400, "InvalidParameterValue", "Value nowhere for parameter Label is invalid. Reason: can't find label."},

	{"SendMessage", `{"QueueUrl":"$Q"}`, 400, "MissingParameter", "The request must contain the parameter MessageBody."},
	{"SendMessage", `{"MessageBody":"a"}`, 400, "MissingParameter", "The request must contain the parameter QueueUrl."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"\u0001"}`, 400, "InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"\uFFFE"}`, 400, "InvalidMessageContents", ""},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"` + strings.Repeat("a", 1025) + `"}`, 400, "InvalidParameterValue", "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","DelaySeconds":901}`, 400, "InvalidParameterValue", "Value 901 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","DelaySeconds":-1}`, 400, "InvalidParameterValue", "Value -1 for parameter DelaySeconds is invalid. Reason: DelaySeconds must be >= 0 and <= 900."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageDeduplicationId":"d"}`, 400, "InvalidParameterValue", ""},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{"":{"DataType":"String","StringValue":"v"}}}`, 400, "InvalidParameterValue", "The request must contain non-empty message (user) attribute names."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{"AWS.x":{"DataType":"String","StringValue":"v"}}}`, 400, "InvalidParameterValue", "You can't use message attribute names beginning with 'AWS.' or 'Amazon'. These strings are reserved for internal use."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{"x":{"DataType":"Text","StringValue":"v"}}}`, 400, "InvalidParameterValue", "The type of message (user) attribute 'x' is invalid. You must use only the following supported type prefixes: Binary, Number, String."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{"x":{"DataType":"Number","StringValue":"v"}}}`, 400, "InvalidParameterValue", "Can't cast the value of message (user) attribute 'x' to a number."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{"x":{"DataType":"String","StringValue":""}}}`, 400, "InvalidParameterValue", "Message (user) attribute 'x' must contain a non-empty value of type 'String'."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{` + attributes(11) + `}}`, 400, "InvalidParameterValue", "Number of message attributes [11] exceeds the allowed maximum [10]."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageAttributes":{"x":{"DataType":"StringList","StringListValues":["v"]}}}`, 400, legacy + "UnsupportedOperation", "Message attribute list values in SendMessage operation are not supported."},
	{"SendMessage", `{"QueueUrl":"$Q","MessageBody":"a","MessageSystemAttributes":{"x":{"DataType":"String","StringValue":"v"}}}`, 400, "InvalidParameterValue", "Message system attribute name 'x' is invalid."},
	{"SendMessage", `{"QueueUrl":"$F","MessageBody":"a","MessageDeduplicationId":"d"}`, 400, "MissingParameter", "The request must contain the parameter MessageGroupId."},
	{"SendMessage", `{"QueueUrl":"$F","MessageBody":"a","MessageGroupId":"g"}`, 400, "InvalidParameterValue", "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"},
	{"SendMessage", `{"QueueUrl":"$F","MessageBody":"a","MessageGroupId":"g","MessageDeduplicationId":"d","DelaySeconds":5}`, 400, "InvalidParameterValue", "Value 5 for parameter DelaySeconds is invalid. Reason: The request include parameter that is not valid for this queue type."},

	{"SendMessageBatch", `{"QueueUrl":"$Q"}`, 400, "MissingParameter", "The request must contain the parameter Entries."},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[]}`, 400, legacy + "EmptyBatchRequest", "There should be at least one SendMessageBatchRequestEntry in the request."},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[` + entries(11) + `]}`, 400, legacy + "TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10. You have sent 11."},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[{"Id":"a","MessageBody":"m"},{"Id":"a","MessageBody":"m"}]}`, 400, legacy + "BatchEntryIdsNotDistinct", "Id a repeated."},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[{"Id":"a b","MessageBody":"m"}]}`, 400, legacy + "InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long."},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[{"Id":"a","MessageBody":"m"},{"MessageBody":"m"}]}`, 400, "MissingParameter", "The request must contain the parameter SendMessageBatchRequestEntry.2.Id."},
	{"SendMessageBatch", `{"QueueUrl":"$Q","Entries":[{"Id":"a","MessageBody":"` + strings.Repeat("a", 1<<19) + `"},{"Id":"b","MessageBody":"` + strings.Repeat("a", 1<<19+1) + `"}]}`, 400, legacy + "BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes."},
	{"DeleteMessageBatch", `{"QueueUrl":"$Q","Entries":[]}`, 400, legacy + "EmptyBatchRequest", "There should be at least one DeleteMessageBatchRequestEntry in the request."},
	{"ChangeMessageVisibilityBatch", `{"QueueUrl":"$Q","Entries":[]}`, 400, legacy + "EmptyBatchRequest", ""},

	{"ReceiveMessage", `{"QueueUrl":"$Q","MaxNumberOfMessages":11}`, 400, "InvalidParameterValue", "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided."},
	{"ReceiveMessage", `{"QueueUrl":"$Q","MaxNumberOfMessages":0}`, 400, "InvalidParameterValue", ""},
	{"ReceiveMessage", `{"QueueUrl":"$Q","WaitTimeSeconds":21}`, 400, "InvalidParameterValue", "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided."},
	{"ReceiveMessage", `{"QueueUrl":"$Q","VisibilityTimeout":43201}`, 400, "InvalidParameterValue", "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided."},
	{"ReceiveMessage", `{"QueueUrl":"$Q","AttributeNames":["Colour"]}`, 400, "InvalidAttributeName", "Unknown Attribute Colour."},
	{"DeleteMessage", `{"QueueUrl":"$Q","ReceiptHandle":"nonsense"}`, 400, "ReceiptHandleIsInvalid", `The input receipt handle "nonsense" is not a valid receipt handle.`},
	{"DeleteMessage", `{"QueueUrl":"$Q"}`, 400, "MissingParameter", "The request must contain the parameter ReceiptHandle."},
	{"ChangeMessageVisibility", `{"QueueUrl":"$Q","ReceiptHandle":"nonsense","VisibilityTimeout":3}`, 400, "ReceiptHandleIsInvalid", ""},
	{"ChangeMessageVisibility", `{"QueueUrl":"$Q","ReceiptHandle":"nonsense"}`, 400, "MissingParameter", "The request must contain the parameter VisibilityTimeout."},
	{"ChangeMessageVisibility", `{"QueueUrl":"$Q","ReceiptHandle":"nonsense","VisibilityTimeout":43201}`, 400, "InvalidParameterValue", "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be between 0 and 43200."},

	{"StartMessageMoveTask", `{}`, 400, "MissingParameter", "The request must contain the parameter SourceArn."},
	{"StartMessageMoveTask", `{"SourceArn":"nonsense"}`, 400, "InvalidParameterValue", "You must use this format to specify the SourceArn: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"},
	{"StartMessageMoveTask", `{"SourceArn":"$Ax"}`, 404, "ResourceNotFoundException", "The resource that you specified for the SourceArn parameter doesn't exist."},
	{"StartMessageMoveTask", `{"SourceArn":"$A"}`, 400, "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."},
	{"StartMessageMoveTask", `{"SourceArn":"$B","DestinationArn":"$B"}`, 400, "InvalidParameterValue", "Source queue arn and destination queue arn cannot be the same."},
	{"StartMessageMoveTask", `{"SourceArn":"$B","MaxNumberOfMessagesPerSecond":501}`, 400, "InvalidParameterValue", "Value for parameter MaxNumberOfMessagesPerSecond is invalid. Reason: You must enter a number that's between 1 and 500."},
	{"ListMessageMoveTasks", `{"SourceArn":"$Ax"}`, 404, "ResourceNotFoundException", ""},
	{"CancelMessageMoveTask", `{"TaskHandle":"*"}`, 400, "InvalidParameterValue", ""},
}

// shapes are what __type says for these codes; SDKs of JavaScript and Python
// read it.
var shapes = map[string]string{
	"InvalidParameterValue": "InvalidParameterValueException",
	"MissingParameter":      "MissingRequiredParameterException",
}

func attributes(n int) string {
	var b []string
	for i := range n {
		b = append(b, `"a`+string(rune('a'+i))+`":{"DataType":"String","StringValue":"v"}`)
	}
	return strings.Join(b, ",")
}

func entries(n int) string {
	var b []string
	for i := range n {
		b = append(b, `{"Id":"`+string(rune('a'+i))+`","MessageBody":"m"}`)
	}
	return strings.Join(b, ",")
}

func (s *suite) errors() {
	dead := s.queue("errors-dead", nil)
	deadARN := s.attributes(dead, "QueueArn")["QueueArn"]
	standard := s.queue("errors", map[string]string{"MaximumMessageSize": "1024"})
	s.queue("errors-source", map[string]string{"RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":"3"}`})
	fifo := s.fifo("errors", nil)
	fill := strings.NewReplacer("$Q", *standard, "$F", *fifo, "$N", s.Prefix+"errors-none",
		"$A", s.attributes(standard, "QueueArn")["QueueArn"], "$B", deadARN)
	for _, r := range refusals {
		body := r.body
		if len(body) > 200 {
			body = body[:200] + "…"
		}
		_, no := s.raw(r.op, fill.Replace(r.body))
		if no == nil {
			s.t.Errorf("%s %s: not refused", r.op, body)
			continue
		}
		if no.Status != r.status {
			s.t.Errorf("%s %s: status is %d, want %d", r.op, body, no.Status, r.status)
		}
		if r.code != "" && (no.Code != r.code || no.Fault != "Sender") {
			s.t.Errorf("%s %s: x-amzn-query-error is %s;%s, want %s;Sender", r.op, body, no.Code, no.Fault, r.code)
		}
		if shape := shapes[no.Code]; shape != "" && !strings.HasSuffix(no.Type, "#"+shape) {
			s.t.Errorf("%s %s: __type is %q, want the shape %s", r.op, body, no.Type, shape)
		}
		if !strings.HasPrefix(no.Type, "com.amazon") || !strings.Contains(no.Type, "#") {
			s.t.Errorf("%s %s: __type is %q", r.op, body, no.Type)
		}
		if want := fill.Replace(r.message); want != "" && no.Message != want {
			s.t.Errorf("%s %s: message is\n\t%s\nwant\n\t%s", r.op, body, no.Message, want)
		}
	}
}
