package wire

// The requests of the service, one type an operation or family. Names are the
// protocol's; a pointer keeps absent apart from zero.
type (
	// QueueRequest is DeleteQueue, PurgeQueue, ListQueueTags.
	QueueRequest struct{ QueueUrl string }

	CreateQueue struct {
		QueueName  string
		Attributes map[string]string
		Tags       map[string]string `json:"tags"`
	}

	GetQueueURL struct{ QueueName, QueueOwnerAWSAccountId string }

	// ListQueues is also ListDeadLetterSourceQueues.
	ListQueues struct {
		QueueUrl, QueueNamePrefix, NextToken string
		MaxResults                           *int64
	}

	QueueAttributes struct {
		QueueUrl       string
		AttributeNames []string          // GetQueueAttributes
		Attributes     map[string]string // SetQueueAttributes
	}

	// Tags is TagQueue and UntagQueue.
	Tags struct {
		QueueUrl string
		Tags     map[string]string
		TagKeys  []string
	}

	// Permission is AddPermission and RemovePermission.
	Permission struct {
		QueueUrl, Label        string
		AWSAccountIds, Actions []string
	}

	SendMessage struct {
		QueueUrl string
		SendEntry
	}

	SendMessageBatch struct {
		QueueUrl string
		Entries  []SendEntry // nil if absent, as in ReceiptBatch
	}

	SendEntry struct {
		Id                      string
		MessageBody             string
		DelaySeconds            *int64
		MessageAttributes       map[string]AttributeValue
		MessageSystemAttributes map[string]AttributeValue
		MessageDeduplicationId  *string
		MessageGroupId          *string
	}

	AttributeValue struct {
		DataType         string
		StringValue      *string
		BinaryValue      []byte // base64 on the wire
		StringListValues []string
		BinaryListValues [][]byte
	}

	ReceiveMessage struct {
		QueueUrl                    string
		AttributeNames              []string
		MessageSystemAttributeNames []string
		MessageAttributeNames       []string
		MaxNumberOfMessages         *int64
		VisibilityTimeout           *int64
		WaitTimeSeconds             *int64
		ReceiveRequestAttemptId     string
	}

	// ReceiptRequest is DeleteMessage and ChangeMessageVisibility.
	ReceiptRequest struct {
		QueueUrl string
		ReceiptEntry
	}

	// ReceiptBatch is DeleteMessageBatch and ChangeMessageVisibilityBatch.
	ReceiptBatch struct {
		QueueUrl string
		Entries  []ReceiptEntry
	}

	ReceiptEntry struct {
		Id                string
		ReceiptHandle     string
		VisibilityTimeout *int64
	}

	// MoveTask is StartMessageMoveTask, CancelMessageMoveTask and
	// ListMessageMoveTasks.
	MoveTask struct {
		SourceArn, DestinationArn, TaskHandle string
		MaxNumberOfMessagesPerSecond          *int64
		MaxResults                            *int64
	}
)
