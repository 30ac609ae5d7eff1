package poller

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/sambatech/chassis/queue/sqsclient"
)

// What a queue of a task pool is created with (COMPATIBILITY.md, section 1).
const (
	queueWait       = 2 * time.Second
	queueVisibility = 120 * time.Second
)

// fifoSuffix ends the name of every FIFO queue, by a rule of SQS.
const fifoSuffix = ".fifo"

// EnsureOptions say what [EnsureQueue] may do. The zero value looks only.
type EnsureOptions struct {
	// Create makes the queue where it is missing.
	Create bool
	// Visibility is the visibility time-out that a new queue gets: 0 to 12 h,
	// whole seconds. Zero means 120 s. Receives of a poller name their own.
	Visibility time.Duration
	// Retention is how long a new queue keeps a message: 60 s to 14 days.
	// Zero leaves it to the service (AWS: 4 days).
	Retention time.Duration
	// Created is called with the name of a queue that was made; nil means no call.
	Created func(name string)
}

// ErrQueueName says that a name cannot be a queue's, or not a task pool's.
var ErrQueueName = errors.New("poller: not a name for a task pool")

// ErrNoQueue says that a queue is not there and was not to be created.
var ErrNoQueue = errors.New("poller: the queue does not exist")

// CheckQueueName applies the rules of SQS (1 to 80 letters, digits, hyphens
// and underscores, and ".fifo" at the end of a FIFO queue's name, which counts
// among the 80) and that of task pools (all lower case).
func CheckQueueName(name string) error {
	const maxName = 80
	switch {
	case name == "":
		return fmt.Errorf("%w: it is empty; name the pool", ErrQueueName)
	case len(name) > maxName:
		return fmt.Errorf("%w: %q has %d characters, SQS allows %d", ErrQueueName, name, len(name), maxName)
	case name != strings.ToLower(name):
		return fmt.Errorf("%w: %q is not all lower case; write %q", ErrQueueName, name, strings.ToLower(name))
	}
	base := strings.TrimSuffix(name, fifoSuffix)
	if base == "" {
		return fmt.Errorf("%w: %q has nothing before its suffix", ErrQueueName, name)
	}
	for _, c := range base {
		if !isQueueRune(c) {
			return fmt.Errorf("%w: %q holds %q; SQS allows letters, digits, - and _, and the suffix %s",
				ErrQueueName, name, c, fifoSuffix)
		}
	}
	return nil
}

func isQueueRune(c rune) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// isFIFO reports whether a queue's name or URL is that of a FIFO queue.
func isFIFO(queue string) bool { return strings.HasSuffix(queue, fifoSuffix) }

// EnsureQueue returns the URL of the queue of a task pool, creating it if
// allowed. Errors: [ErrQueueName], [ErrNoQueue], those of
// [sqsclient.Explain], or what the service says.
func EnsureQueue(ctx context.Context, client *sqs.Client, name string, o EnsureOptions) (string, error) {
	if err := CheckQueueName(name); err != nil {
		return "", err
	}
	url, err := queueURL(ctx, client, name)
	var missing *types.QueueDoesNotExist
	if !errors.As(err, &missing) {
		return url, err
	}
	if !o.Create {
		return "", fmt.Errorf("%w: %q in region %s, or these credentials may not see it; "+
			"create it, or allow its creation by the settings: %w", ErrNoQueue, name, client.Options().Region, err)
	}
	made, err := client.CreateQueue(ctx, &sqs.CreateQueueInput{QueueName: &name, Attributes: o.attributes(name)})
	var exists *types.QueueNameExists
	switch {
	case errors.As(err, &exists): // another process made it in between, with settings of its own
		return queueURL(ctx, client, name)
	case err != nil:
		return "", fmt.Errorf("poller: creating queue %q: %w", name, sqsclient.Explain(client, err))
	case made.QueueUrl == nil:
		return "", fmt.Errorf("poller: creating queue %q: the service gave no URL", name)
	}
	if o.Created != nil {
		o.Created(name)
	}
	return *made.QueueUrl, nil
}

func queueURL(ctx context.Context, client *sqs.Client, name string) (string, error) {
	out, err := client.GetQueueUrl(ctx, &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		return "", fmt.Errorf("poller: looking up queue %q: %w", name, sqsclient.Explain(client, err))
	}
	if out.QueueUrl == nil {
		return "", fmt.Errorf("poller: looking up queue %q: the service gave no URL", name)
	}
	return *out.QueueUrl, nil
}

func (o EnsureOptions) attributes(name string) map[string]string {
	visibility := o.Visibility
	if visibility == 0 {
		visibility = queueVisibility
	}
	attributes := map[string]string{
		string(types.QueueAttributeNameReceiveMessageWaitTimeSeconds): seconds(queueWait),
		string(types.QueueAttributeNameVisibilityTimeout):             seconds(visibility),
	}
	if o.Retention > 0 {
		attributes[string(types.QueueAttributeNameMessageRetentionPeriod)] = seconds(o.Retention)
	}
	if isFIFO(name) {
		attributes[string(attrFIFO)] = "true"
		// 300 requests a second of the queue become up to 70 000, by message
		// groups (SQS developer guide, "High throughput for FIFO queues").
		attributes[string(attrDedupScope)] = byMessageGroup
		attributes[string(attrThroughput)] = perMessageGroup
	}
	return attributes
}

func seconds(d time.Duration) string { return strconv.Itoa(int(wholeSeconds(d))) }

// wholeSeconds rounds up, for SQS counts in seconds and nothing may come
// before its time.
func wholeSeconds(d time.Duration) int32 {
	return int32((d + time.Second - 1) / time.Second)
}
