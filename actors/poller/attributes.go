package poller

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// QueueAttributes are what a queue does with its messages, by its own word. A
// zero field is not known, or not set.
type QueueAttributes struct {
	Retention      time.Duration // MessageRetentionPeriod: 1 min to 14 days
	MaxMessageSize int           // MaximumMessageSize: bytes with the attributes, 1 KiB to 1 MiB
	Delay          time.Duration // DelaySeconds, of messages that name no delay: 0 to 15 min
	RedriveTo      string        // ARN of the queue that its RedrivePolicy names; empty: no policy
	MaxReceives    int           // maxReceiveCount of the RedrivePolicy; 0: no policy
	FIFO           bool
	HighThroughput bool // FIFO: deduplicates and is limited by message group
}

// The attributes that ReadQueue asks for.
const (
	attrRetention   = types.QueueAttributeNameMessageRetentionPeriod
	attrMaxSize     = types.QueueAttributeNameMaximumMessageSize
	attrDelay       = types.QueueAttributeNameDelaySeconds
	attrRedrive     = types.QueueAttributeNameRedrivePolicy
	attrFIFO        = types.QueueAttributeNameFifoQueue
	attrDedupScope  = types.QueueAttributeNameDeduplicationScope
	attrThroughput  = types.QueueAttributeNameFifoThroughputLimit
	byMessageGroup  = "messageGroup"      // of attrDedupScope
	perMessageGroup = "perMessageGroupId" // of attrThroughput
)

// ReadQueue asks a queue for its attributes, in one request. It needs the right
// sqs:GetQueueAttributes.
func ReadQueue(ctx context.Context, client *sqs.Client, url string) (QueueAttributes, error) {
	// All is what FIFO and standard queues take alike: a standard queue refuses
	// the names of attributes that only FIFO queues have.
	out, err := client.GetQueueAttributes(ctx, &sqs.GetQueueAttributesInput{
		QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		err = sqsclient.Explain(client, err)
		return QueueAttributes{}, fmt.Errorf("poller: reading the attributes of %s: %w", url, err)
	}
	return parseAttributes(out.Attributes), nil
}

// parseAttributes reads the answer of GetQueueAttributes. What is missing or
// not understood stays zero, for other servers than SQS leave things out.
func parseAttributes(raw map[string]string) QueueAttributes {
	number := func(name types.QueueAttributeName) int {
		n, err := strconv.Atoi(raw[string(name)])
		if err != nil || n < 0 {
			return 0
		}
		return n
	}
	a := QueueAttributes{
		Retention:      time.Duration(number(attrRetention)) * time.Second,
		MaxMessageSize: number(attrMaxSize),
		Delay:          time.Duration(number(attrDelay)) * time.Second,
		FIFO:           strings.EqualFold(raw[string(attrFIFO)], "true"),
		HighThroughput: raw[string(attrDedupScope)] == byMessageGroup && raw[string(attrThroughput)] == perMessageGroup,
	}
	var policy struct {
		Target string          `json:"deadLetterTargetArn"`
		Max    json.RawMessage `json:"maxReceiveCount"` // a number or a string
	}
	if json.Unmarshal([]byte(raw[string(attrRedrive)]), &policy) == nil {
		a.RedriveTo = policy.Target
		if n, err := strconv.Atoi(strings.Trim(string(policy.Max), `"`)); err == nil {
			a.MaxReceives = max(n, 0)
		}
	}
	return a
}
