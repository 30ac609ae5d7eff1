package schedules

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

const (
	maxBatch      = 10      // messages of a request, by SQS
	maxBatchBytes = 1 << 20 // of them all
)

// send sends messages in their order, and returns the error of each. Nothing is sent
// after ctx has ended: the sender of tasks, which shares requests, would go on for half a
// minute. After a request that has failed the rest is not tried.
func (c *core) send(ctx context.Context, outs []*task.Outgoing) []error {
	errs := make([]error, len(outs))
	if c.cfg.Sealer != nil {
		outs = slices.Clone(outs)
		for i := range outs {
			var err error
			if outs[i], err = task.SealOutgoing(ctx, c.cfg.Sealer, outs[i]); err != nil {
				for j := range errs { // all of them wait: they keep their order
					errs[j] = err
				}
				return errs
			}
		}
	}
	for begin := 0; begin < len(outs); {
		end, bytes := begin, 0
		for ; end < len(outs) && end-begin < maxBatch; end++ {
			size := task.Size(outs[end].Body, outs[end].Attributes)
			if bytes += size; bytes > maxBatchBytes && end > begin {
				break
			}
		}
		if err := c.sendBatch(ctx, outs[begin:end], errs[begin:end]); err != nil {
			for i := begin; i < len(outs); i++ {
				errs[i] = err
			}
			return errs
		}
		begin = end
	}
	return errs
}

// sendBatch makes one request. It returns its error, and fills in those of its messages.
func (c *core) sendBatch(ctx context.Context, outs []*task.Outgoing, errs []error) error {
	batch := make([]types.SendMessageBatchRequestEntry, len(outs))
	for i, out := range outs {
		batch[i] = types.SendMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), MessageBody: &out.Body,
			MessageAttributes: out.Attributes, MessageGroupId: &out.GroupID, MessageDeduplicationId: &out.DedupID}
		if out.TraceHeader != "" {
			batch[i].MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
				string(types.MessageSystemAttributeNameForSendsAWSTraceHeader): {
					DataType: aws.String("String"), StringValue: &out.TraceHeader}}
		}
	}
	begun := c.clock.local()
	answer, err := c.cfg.Client.SendMessageBatch(ctx, &sqs.SendMessageBatchInput{QueueUrl: &c.cfg.URL, Entries: batch})
	if err != nil {
		c.clock.answered(middleware.Metadata{}, err, begun)
		return fmt.Errorf("send %d ticks to %s: %w", len(outs), c.cfg.Pool, sqsclient.Explain(c.cfg.Client, err))
	}
	c.clock.answered(answer.ResultMetadata, nil, begun)
	for _, f := range answer.Failed {
		if i, err := strconv.Atoi(aws.ToString(f.Id)); err == nil && i >= 0 && i < len(errs) {
			code, why := aws.ToString(f.Code), aws.ToString(f.Message)
			errs[i] = fmt.Errorf("send a tick to %s: %s: %s", c.cfg.Pool, code, why)
		}
	}
	return nil
}
