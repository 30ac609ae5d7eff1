package addresses

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"github.com/sambatech/chassis/queue/sqsclient"
	"github.com/sambatech/chassis/task"
)

const (
	idLength    = 16               // of the random end of an inbox's name
	retention   = 15 * time.Minute // of an inbox
	receiveWait = 20 * time.Second // of a long poll, the longest of SQS
	visibility  = 30 * time.Second // of what its owner receives, until it is deleted
	requestTime = 15 * time.Second // of a request, in addition to what it waits
	mostDeletes = 8                // requests under way
	batchSize   = 10               // messages in a request, by SQS
)

// make makes the inbox.
func (c *core) make(ctx context.Context) (*inbox, error) {
	if !c.cfg.Create {
		return nil, fmt.Errorf("a process that asks, or takes notices, has a queue of its own, %s and 16 digits: "+
			"allow its creation by tasks.missing_queue: create", c.cfg.Prefix)
	}
	ctx, cancel := context.WithTimeout(ctx, requestTime+c.cfg.Settle)
	defer cancel()
	in := &sqs.CreateQueueInput{
		QueueName: aws.String(c.cfg.Prefix + random(idLength/2)),
		Attributes: map[string]string{
			string(types.QueueAttributeNameVisibilityTimeout):             "0", // who looks hides nothing
			string(types.QueueAttributeNameMessageRetentionPeriod):        seconds(retention),
			string(types.QueueAttributeNameReceiveMessageWaitTimeSeconds): "0",
		},
		Tags: map[string]string{"chassis.inbox.owner": c.cfg.Owner},
	}
	out, err := c.cfg.Client.CreateQueue(ctx, in)
	if isDenied(err) { // tags are a right of their own
		in.Tags = nil
		out, err = c.cfg.Client.CreateQueue(ctx, in)
	}
	if err != nil {
		err = sqsclient.Explain(c.cfg.Client, err)
		return nil, fmt.Errorf("make the queue for answers, %s: %w", *in.QueueName, err)
	}
	if out.QueueUrl == nil {
		return nil, fmt.Errorf("make the queue for answers, %s: the service gave no URL", *in.QueueName)
	}
	if c.cfg.Settle > 0 {
		pause(ctx, c.cfg.Settle)
	}
	return &inbox{*in.QueueName, *out.QueueUrl}, nil
}

// remove deletes a queue; that it is not there is no error.
func (c *core) remove(ctx context.Context, url string) error {
	_, err := c.cfg.Client.DeleteQueue(ctx, &sqs.DeleteQueueInput{QueueUrl: &url})
	if isGone(err) {
		return nil
	}
	return err
}

// listen receives what comes to the inbox, until ctx ends or the inbox is gone.
func (c *core) listen(ctx context.Context, at *inbox, send func(message any)) {
	receive, deletes := sqsclient.ReceiveOf(c.cfg.Client), c.newDeletes(at)
	defer deletes.wait()
	for failures := 0; ctx.Err() == nil; {
		out, err := func() (*sqs.ReceiveMessageOutput, error) {
			ctx, cancel := context.WithTimeout(ctx, receiveWait+requestTime)
			defer cancel()
			return receive(ctx, &sqs.ReceiveMessageInput{QueueUrl: &at.url, MaxNumberOfMessages: batchSize,
				WaitTimeSeconds: int32(receiveWait / time.Second), VisibilityTimeout: int32(visibility / time.Second)})
		}()
		switch {
		case err == nil:
			failures = 0
			if len(out.Messages) > 0 {
				send(open(out.Messages))
				deletes.start(ctx, out.Messages)
			}
		case isGone(err):
			send(&lost{at: at})
			return
		default:
			if failures++; failures == 3 && ctx.Err() == nil {
				c.log.Warn("the queue for answers cannot be received from; it is tried again", "queue", at.name,
					"error", err)
			}
			pause(ctx, min(100*time.Millisecond<<min(failures, 6), 5*time.Second))
		}
	}
}

// open reads the letters of messages.
func open(messages []types.Message) *arrived {
	a := &arrived{letters: make([]task.Letter, 0, len(messages))}
	for i := range messages {
		var l task.Letter
		if json.Unmarshal([]byte(aws.ToString(messages[i].Body)), &l) != nil {
			a.garbage++
			continue
		}
		a.letters = append(a.letters, l)
	}
	return a
}

// deletes deletes what was received, next to the receives.
type deletes struct {
	of     sqsclient.DeleteBatch
	at     *inbox
	places chan struct{}
}

func (c *core) newDeletes(at *inbox) *deletes {
	return &deletes{sqsclient.DeleteBatchOf(c.cfg.Client), at, make(chan struct{}, mostDeletes)}
}

// start begins a request. What is not deleted comes again, and is dropped then.
func (d *deletes) start(ctx context.Context, messages []types.Message) {
	in := &sqs.DeleteMessageBatchInput{QueueUrl: &d.at.url}
	for i := range messages {
		if messages[i].ReceiptHandle != nil {
			in.Entries = append(in.Entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(fmt.Sprint(i)),
				ReceiptHandle: messages[i].ReceiptHandle})
		}
	}
	d.places <- struct{}{}
	go func() {
		defer func() { <-d.places }()
		ctx, cancel := context.WithTimeout(ctx, requestTime)
		defer cancel()
		_, _ = d.of(ctx, in)
	}()
}

// wait waits for all requests.
func (d *deletes) wait() {
	for range mostDeletes {
		d.places <- struct{}{}
	}
}

func isGone(err error) bool {
	var missing *types.QueueDoesNotExist
	return errors.As(err, &missing)
}

// isDenied reports whether a right is missing.
func isDenied(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api) && (api.ErrorCode() == "AccessDenied" || api.ErrorCode() == "AccessDeniedException")
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

func seconds(d time.Duration) string { return fmt.Sprint(int(d / time.Second)) }
